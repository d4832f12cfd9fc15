"""The backend: the parts put together, called by operation name, and moved on by the world's clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from typing import Any

from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.utils import get_service_model

from vmqlib.simulator.qbusiness.access import Access
from vmqlib.simulator.qbusiness.chat import Chat
from vmqlib.simulator.qbusiness.context import Context
from vmqlib.simulator.qbusiness.controls import ChatControls
from vmqlib.simulator.qbusiness.documents import Documents
from vmqlib.simulator.qbusiness.exceptions import Conflict, UnknownOperation
from vmqlib.simulator.qbusiness.index import DocumentIndex
from vmqlib.simulator.qbusiness.publisher import Calendar, DocumentCounts, NoSyncLambda
from vmqlib.simulator.qbusiness.resources import Resource, Resources
from vmqlib.simulator.qbusiness.retrieval import Retrieval
from vmqlib.simulator.qbusiness.sync import Syncs
from vmqlib.simulator.qbusiness.timing import Pace, now
from vmqlib.simulator.qbusiness.validation import check_input

__all__ = ["QBusinessBackend", "qbusiness_backends"]

Operation = Callable[[dict[str, Any]], dict[str, Any]]


class QBusinessBackend(BaseBackend):
    """Amazon Q Business in one account and region. It is an event source of the simulator's world.

    Parameters
    ----------
    region_name:
        For example ``eu-west-1``.
    account_id:
        12 digits.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.lock = threading.RLock()
        self.context = Context(account_id, region_name, self.partition)
        self._indices: dict[str, DocumentIndex] = {}
        self.resources = Resources(self.context, {"INDEX": self._statistics}, self._on_change)
        self.syncs = Syncs(self.context, self.resources, self.index)
        self.calendar = Calendar(self.syncs)
        self.counts = DocumentCounts(self.context, self.resources, self.index)
        self.no_sync = NoSyncLambda(self.context, self.resources, self.syncs)
        self.controls = ChatControls(self.resources)
        retrieval = Retrieval(self.context, self.resources, self.index)
        self._operations: dict[str, Operation] = {
            **self.resources.operations(),
            **self.syncs.operations(),
            **self.controls.operations(),
            **retrieval.operations(),
            **Chat(self.context, self.resources, self.controls, retrieval).operations(),
            **Access(self.context, self.resources, self.index).operations(),
            **Documents(self.context, self.resources, self.syncs, self.index).operations(),
        }
        self._answered: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}

    # -- the simulator's switches
    # ---------------------------------------------------------------------------------

    @property
    def pace(self) -> Pace:
        """How long syncs take that start from now on."""
        return self.context.pace

    @pace.setter
    def pace(self, pace: Pace) -> None:
        self.context.pace = pace

    def seed(self, number: int) -> None:
        """Makes ids and durations follow from ``number``."""
        self.context.seed(number)

    def deny_read(self, bucket: str, key_prefix: str | None = None, reason: str = "AccessDenied") -> None:
        """Refuses the connectors' role to read.

        Parameters
        ----------
        bucket:
            The bucket.
        key_prefix:
            Objects whose keys begin so fail one by one ("" for all); None: the bucket cannot be listed, the
            sync FAILS.
        reason:
            ``AccessDenied``, or one that begins with ``KMS`` for a key that may not be used.
        """
        self.context.denials.reads[bucket, key_prefix] = reason

    def allow_read(self, bucket: str, key_prefix: str | None = None) -> None:
        """Takes a :meth:`deny_read` back."""
        self.context.denials.reads.pop((bucket, key_prefix), None)

    def deny_role(self, role_arn: str) -> None:
        """Lets syncs of data sources with that role FAIL, as with a broken trust policy."""
        self.context.denials.roles.add(role_arn)

    def allow_role(self, role_arn: str) -> None:
        """Takes a :meth:`deny_role` back."""
        self.context.denials.roles.discard(role_arn)

    def slow_down(self, bucket: str, share: float) -> None:
        """Lets S3 throttle the connectors: syncs fail for other documents each time, and leave those as they are.

        Parameters
        ----------
        bucket:
            The bucket.
        share:
            Of its documents (0 to 1); 0 takes it back.
        """
        if share:
            self.context.denials.slowed[bucket] = share
        else:
            self.context.denials.slowed.pop(bucket, None)

    def put_user(self, user: str, *groups: str) -> None:
        """Says which groups a user is in, for ACLs and topic rules."""
        self.context.groups[user] = frozenset(groups)

    @property
    def identity_aware(self) -> bool:
        """Whether callers' credentials pass for a signed-in user's. If not, chat is denied where users sign in."""
        return self.context.identity_aware

    @identity_aware.setter
    def identity_aware(self, value: bool) -> None:
        self.context.identity_aware = value

    def deliver_logs(self, application_id: str | None, *log_types: str) -> None:
        """Sets which logs are delivered (``SYNC_JOB_LOGS``, ``EVENT_LOGS``; none given: none).

        Applications with real delivery sources (PutDeliverySource) go by these, whatever is set here.

        Parameters
        ----------
        application_id:
            Of which application; None for all that are not named.
        log_types:
            What is delivered. Until told otherwise, both are.
        """
        if application_id is None:
            self.context.deliveries.default = frozenset(log_types)
        else:
            self.context.deliveries.by_application[application_id] = frozenset(log_types)

    # -- the world's clock
    # ----------------------------------------------------------------------------------------

    def next_event_at(self) -> datetime | None:
        """When something happens by itself next."""
        with self.lock:
            parts = (self.syncs, self.calendar, self.counts, self.no_sync)
            return min((at for part in parts if (at := part.next_event_at()) is not None), default=None)

    def run_due(self, now: datetime) -> None:
        """Lets everything happen that is due at ``now``, in time order."""
        with self.lock:
            while (due := self.next_event_at()) is not None and due <= now:
                self._run(due)
            self.syncs.progress(now)

    def _run(self, at: datetime) -> None:
        self.syncs.progress(at)
        self.calendar.run_due(at)
        self.counts.run_due(at)
        self.no_sync.run_due(at)

    # -- the API
    # --------------------------------------------------------------------------------------------------

    def call(self, operation: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answers one API operation; what is due until now happens first.

        Parameters
        ----------
        operation:
            For example ``StartDataSourceSyncJob``.
        params:
            Its input, as boto3 takes it.

        Raises
        ------
        QBusinessError
            What the service would answer.
        """
        given = dict(params or {})
        handler = self._operations.get(operation)
        if handler is None:
            raise UnknownOperation(f"The simulator does not have the operation {operation}.")
        check_input(get_service_model("qbusiness").operation_model(operation), given)
        with self.lock:
            self.run_due(now())
            token = given.get("clientToken")
            return self._once(operation, token, given, handler) if token else handler(given)

    def _once(self, operation: str, token: str, params: dict[str, Any], handler: Operation) -> dict[str, Any]:
        """A request repeated with its clientToken gets the first answer again and does nothing."""
        request = repr(sorted(params.items()))
        if (operation, token) in self._answered:
            first, answer = self._answered[operation, token]
            if first != request:
                raise Conflict(
                    f"The clientToken {token} was used for another {operation} request.",
                    token,
                    "CLIENT_TOKEN",
                )
            return answer
        answer = handler(params)
        self._answered[operation, token] = request, answer
        return answer

    def index(self, index_id: str) -> DocumentIndex:
        """The documents of an index."""
        return self._indices.setdefault(index_id, DocumentIndex())

    def _statistics(self, resource: Resource) -> dict[str, Any]:
        index = self.index(resource.resource_id)
        text = {"indexedTextBytes": index.text_bytes(), "indexedTextDocumentCount": index.count()}
        return {"indexStatistics": {"textDocumentStatistics": text}}

    def _on_change(self, what: str, resource: Resource) -> None:
        kind = resource.kind.name
        if kind == "APPLICATION" and what == "deleted":
            self.controls.forget(resource.resource_id)
        if kind == "INDEX" and what == "deleted":
            self._indices.pop(resource.resource_id, None)
        if kind == "DATA_SOURCE":
            self._data_source_changed(what, resource)

    def _data_source_changed(self, what: str, source: Resource) -> None:
        if what in ("created", "updated"):
            self.calendar.set(source, source.updated_at)
            self.counts.begin(source.created_at)
            self.no_sync.begin(source.created_at)
        elif what == "deleting":
            if self.syncs.running(source.resource_id) is not None:
                raise Conflict(
                    f"The data source {source.resource_id} cannot be deleted while it syncs.",
                    source.resource_id,
                    "DATA_SOURCE",
                )
        else:
            self.calendar.drop(source.resource_id)
            self.syncs.forget(source.resource_id)
            self.index(source.parents["indexId"]).remove_source(source.resource_id)


qbusiness_backends = BackendDict(QBusinessBackend, "qbusiness")
