#!/usr/bin/env bash
# Looks whether the index holds what the bucket holds, after a sync. A thin layer over vmq. Changes nothing.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: sovereign-verify-ingest.sh [OPTION...]

Looks whether the last sync indexed what it should have: every document, by the document-level report and the index.
It is `vmq sync verify`; options are handed to it.

Options:
  --connector NAME   the connector by its name in vmq.toml (default: $VMQ_CONNECTOR, or the only one)
  --incident ID      write it into this incident's journal (default: $VMQ_INCIDENT)
  --help             this text; `vmq sync verify --help` has the rest

Exit codes are vmq's: 0 all is indexed; 1 it is not; 2 bad input; 3 AWS refused.

Examples:
  scripts/sovereign-verify-ingest.sh
  scripts/sovereign-verify-ingest.sh --connector docs --incident INC-20261123-001
HELP
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
vmq=$here/../.venv/bin/vmq
if [ ! -x "$vmq" ] && ! vmq=$(command -v vmq); then
    echo "sovereign-verify-ingest.sh: there is no vmq." >&2
    echo "  Run \`make setup\` in the kit's checkout, or put vmq on the PATH." >&2
    exit 2
fi

connector=${VMQ_CONNECTOR-} incident=${VMQ_INCIDENT-}
for word in "$@"; do
    case $word in
        -h | --help) usage; exit 0 ;;
        --connector | --connector=* | --data-source | --data-source=*) connector='' ;;
        --incident | --incident=*) incident='' ;;
    esac
done
about=()
[ -z "$connector" ] || about+=(--connector "$connector")
[ -z "$incident" ] || about+=(--incident "$incident")
# "${a[@]+"${a[@]}"}": an empty array is an unset one for bash before 4.4 (macOS).
exec "$vmq" sync verify ${about[@]+"${about[@]}"} "$@"
