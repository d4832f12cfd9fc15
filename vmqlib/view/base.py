"""What every view returns: a :class:`Plot` or a :class:`Panel`, and the one place where data becomes HTML.

Text that came from AWS (an error message, a document id, a log line) is data. :class:`Html` builds markup by
escaping whatever is put into it, so that no view escapes by hand and none forgets to.
"""

from __future__ import annotations

import base64
import functools
import html as _html
import io
import re
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

from vmqlib.times import show_time

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vmqlib.record.observation import Observation

__all__ = [
    "Html",
    "Panel",
    "Plot",
    "View",
    "caption",
    "guarded",
    "join",
    "nothing",
    "plain",
    "tag",
    "unavailable",
]

P = ParamSpec("P")

DPI = 110
"""Dots per inch of a plot: 9.5 inches are 1,045 pixels, as wide as a page of the record."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff]"
)


def plain(value: object, limit: int = 300) -> str:
    """``value`` as text that is safe to show anywhere, at most ``limit`` characters long.

    Terminal escape sequences, control characters and marks that reorder or hide text are removed: a log line
    must not be able to change how the lines around it read. Missing values give an empty string.
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else str(value)
    if text in ("<NA>", "NaT", "nan") and not isinstance(value, str):
        return ""
    text = _clean(text[: 4 * limit + 4000])
    return text if len(text) <= limit else text[: limit - 2].rstrip() + " …"


def _clean(text: str) -> str:
    return _INVISIBLE.sub("", _ESCAPES.sub("", text))


@dataclass(frozen=True)
class Html:
    """Markup that was built by :func:`tag` or :func:`join`, and is therefore escaped."""

    markup: str
    """The markup."""

    def __str__(self) -> str:
        return self.markup


def _escaped(part: object) -> str:
    if isinstance(part, Html):
        return part.markup
    return _html.escape(_clean(part) if isinstance(part, str) else plain(part), quote=True)


def join(parts: Iterable[object], separator: str = "") -> Html:
    """``parts`` one after another: :class:`Html` as it is, anything else escaped."""
    return Html(_html.escape(separator).join(_escaped(part) for part in parts))


def tag(name: str, *parts: object, **attributes: object) -> Html:
    """An element: ``tag("td", text, style="…")``. Parts and attribute values are escaped unless they are :class:`Html`.

    Attributes that are None are left out; ``colspan``, ``class_`` and ``for_`` lose their underscore.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_escaped(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in ("br", "hr", "img"):
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{join(parts)}</{name}>")


@dataclass(frozen=True)
class Panel:
    """A piece of the record made of text.

    Parameters
    ----------
    html:
        What a browser shows.
    text:
        The same for a terminal, a diff, or a screen that shows no HTML.
    ok:
        False when it stands in for something that could not be shown.
    """

    html: Html
    text: str
    ok: bool = True

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {"text/html": self.html.markup, "text/plain": self.text}

    def __repr__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Plot:
    """A figure with its finding in words.

    Parameters
    ----------
    figure:
        The figure.
    alt:
        What it shows, computed from the data: read by screen readers, shown where images are not.
    ok:
        Always true; the counterpart of :attr:`Panel.ok`.
    """

    figure: Figure
    alt: str
    ok: Literal[True] = field(default=True, init=False)

    @functools.cached_property
    def png(self) -> bytes:
        """The figure as a PNG file."""
        from matplotlib import rc_context
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from PIL import Image

        for axes in self.figure.axes:
            for axis in (axes.xaxis, axes.yaxis):
                if not axis.get_label_text():
                    # Anywhere: or else all tick labels are measured to find a place for a label that is not there.
                    axis.set_label_coords(0, 0)
        canvas = FigureCanvasAgg(self.figure)
        # Unhinted, letters keep their shape and their distances. For hinted ones the font's own program is run
        # again for every letter: two fifths of what all text costs.
        with rc_context({"text.hinting": "no_hinting"}):
            canvas.draw()
        drawn = Image.frombuffer("RGBA", canvas.get_width_height(), canvas.buffer_rgba(), "raw", "RGBA", 0, 1)
        # A plot has few colours: with a palette it is a third of the size, and nobody sees the difference.
        few = drawn.convert("RGB").quantize(96, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        buffer = io.BytesIO()
        few.save(buffer, "PNG", optimize=False, compress_level=6, dpi=(DPI, DPI))
        return buffer.getvalue()

    @property
    def html(self) -> Html:
        """The figure as an ``img`` element that carries its own bytes."""
        source = "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")
        return tag("img", src=source, alt=self.alt, style="max-width:100%")

    @property
    def text(self) -> str:
        """The finding in words."""
        return self.alt

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
        data = {"image/png": base64.b64encode(self.png).decode("ascii"), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return self.alt


View = Plot | Panel
"""What a view function returns."""


def caption(*observations: Observation | None) -> str:
    """Where the data came from and how complete it is, one clause for each observation.

    ``qbusiness:ListDataSourceSyncJobs, seen 2026-11-23 09:12:05 UTC, complete, 21 rows (sync-jobs-0f3a….jsonl.gz)``
    """
    return " · ".join(_clause(seen) for seen in observations if seen is not None)


def _clause(seen: Observation) -> str:
    if not seen.available:
        return f"{seen.title or seen.name}: not available ({plain(seen.problem, 160)})"
    call = plain((seen.evidence.call if seen.evidence else "") or seen.name, 60)
    when = f", seen {show_time(seen.at)}" if seen.at else ""
    rows = len(seen.frame)
    count = f"{rows:,} row{'' if rows == 1 else 's'}"
    state = "complete" if seen.complete else f"INCOMPLETE: {plain(seen.stopped, 120) or 'stopped early'}"
    file = f" ({evidence_name(seen)})" if seen.evidence is not None else ""
    return f"{call}{when}, {count}, {state}{file}"


def evidence_name(seen: Observation) -> str:
    """The name of the file that holds the whole of what was seen; it ends with the start of the file's hash."""
    reference = seen.evidence
    for attribute in ("file", "path", "name"):
        value = getattr(reference, attribute, None)
        if value:
            return plain(str(value).rsplit("/", 1)[-1], 120)
    return ""


def unavailable(seen: Observation | None, what: str = "") -> Panel:
    """Says, in place of a section, that its evidence is missing, why, and what to do about it."""
    if seen is None:
        problem, hint, title = "nobody looked", "Run the observation cell again.", what
    else:
        problem = plain(seen.problem, 600) or "it was not observed"
        hint, title = plain(seen.hint, 600), what or seen.title or seen.name
    text = f"{title}: evidence unavailable: {problem}" + (f" — {hint}" if hint else "")
    body = [tag("strong", f"{title}: evidence unavailable"), tag("div", problem)]
    if hint:
        body.append(tag("div", "What to do: ", tag("em", hint)))
    return Panel(notice(join(body), "#E69F00"), text, ok=False)


def nothing(title: str, why: str, seen: Observation) -> Panel:
    """Says that a section has nothing to show: it was looked at, and there is nothing there."""
    source = caption(seen)
    text = f"{title}: {why}. {source}"
    return Panel(
        notice(
            join([tag("strong", title), ": ", why, tag("div", source, style="color:#666;font-size:85%")]),
            "#0072B2",
        ),
        text,
    )


def notice(body: Html | str, colour: str) -> Html:
    """A box with a thick coloured edge; the edge only repeats what the words say."""
    style = f"border:1px solid #999;border-left:8px solid {colour};padding:0.5em 0.8em;margin:0.4em 0;max-width:70em"
    return tag("div", body, style=style)


def guarded(draw: Callable[P, View]) -> Callable[P, View]:
    """Makes a view function never raise: a section that fails says so, and the sections after it are drawn.

    The panel that stands in names the exception and the line of the kit where it happened.
    """

    @functools.wraps(draw)
    def safely(*args: P.args, **kwargs: P.kwargs) -> View:
        try:
            return draw(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - told in place of the section
            return failed(getattr(draw, "__name__", "section"), error)

    return safely


def failed(what: str, error: Exception) -> Panel:
    """Says, in place of a section, that drawing it failed."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{frames[-1].filename.rsplit('/', 1)[-1]}:{frames[-1].lineno}" if frames else ""
    reason = f"{type(error).__name__}: {plain(error, 400)}"
    title = f"{what.replace('_', ' ')}: this section could not be drawn"
    body = join(
        [
            tag("strong", title),
            tag("div", reason),
            tag("div", f"at {where}; the evidence is kept and unharmed."),
        ]
    )
    return Panel(notice(body, "#D55E00"), f"{title}: {reason} ({where})", ok=False)


def mapping(value: object) -> Mapping[str, Any]:
    """``value`` as a mapping: a mapping as it is, a dataclass or a pydantic model by its fields."""
    import dataclasses

    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dict(dump())
    raise TypeError(f"expected a mapping or a dataclass, got {type(value).__name__}")
