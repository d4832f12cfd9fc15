#!/usr/bin/env bash
# Uploads a folder's Markdown to the knowledge base, only what differs by content, then syncs. A thin layer over vmq.
set -euo pipefail

usage() {
    cat <<'HELP'
Usage: sovereign-sync-docs.sh [PATH] [wait|DEADLINE] [OPTION...]

Uploads the *.md below PATH (default: docs) to the connector's bucket, only what differs by content, and starts a sync.
With `wait`, or how long to wait (20m, 2h), it also waits for the sync's end, and verifies the index.

Options:
  --connector NAME   the connector by its name in vmq.toml (default: $VMQ_CONNECTOR, or the only one)
  --incident ID      write all of it into this incident's journal (default: $VMQ_INCIDENT)
  --preview          show what would be uploaded and deleted, and change nothing
  --delete           also delete documents that PATH does not have (delete markers; never a version)
  --yes              do not ask
  --help             this text
Others are handed to `vmq sync docs` (--prefix P, --delete-most, --digest D): see `vmq sync docs --help`.

Exit codes are vmq's: 0 done; 1 the sync or the check did not succeed; 2 bad input; 3 AWS refused; 4 the world
changed; 5 a deadline passed; 130 interrupted. Interrupted, it goes on when it is run again.

Examples:
  scripts/sovereign-sync-docs.sh ../vaultmesh-ops/docs --preview
  scripts/sovereign-sync-docs.sh ../vaultmesh-ops/docs wait --connector docs
  scripts/sovereign-sync-docs.sh docs 20m --delete --yes
HELP
}

bad() {
    echo "sovereign-sync-docs.sh: $1" >&2
    echo "  --help shows how it is used." >&2
    exit 2
}

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
vmq=$here/../.venv/bin/vmq
[ -x "$vmq" ] || vmq=$(command -v vmq) || bad "there is no vmq: run \`make setup\` in the kit's checkout, or put vmq on the PATH."

path='' wait='' preview='' connector=${VMQ_CONNECTOR-} incident=${VMQ_INCIDENT-} yes=() more=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --connector | --incident | --prefix | --digest)
            [ $# -gt 1 ] || bad "$1 needs a value."
            case $1 in
                --connector) connector=$2 ;;
                --incident) incident=$2 ;;
                *) more+=("$1" "$2") ;;
            esac
            shift ;;
        --connector=*) connector=${1#*=} ;;
        --incident=*) incident=${1#*=} ;;
        --preview) preview=1 ;;
        -y | --yes) yes=(--yes) ;;
        -*) more+=("$1") ;;
        *)
            if [ -z "$path" ]; then path=$1
            elif [ -z "$wait" ]; then wait=$1
            else bad "what is $1 for?"; fi ;;
    esac
    shift
done

about=()
[ -z "$connector" ] || about+=(--connector "$connector")
[ -z "$incident" ] || about+=(--incident "$incident")
# "${a[@]+"${a[@]}"}": an empty array is an unset one for bash before 4.4 (macOS).
upload=("$vmq" sync docs "${path:-docs}" ${about[@]+"${about[@]}"} ${more[@]+"${more[@]}"})

if [ -n "$preview" ]; then
    exec "${upload[@]}" --preview
fi
if [ -z "$wait" ]; then
    "${upload[@]}" ${yes[@]+"${yes[@]}"}
    exec "$vmq" sync start ${about[@]+"${about[@]}"} ${yes[@]+"${yes[@]}"}
fi
deadline=()
[ "$wait" = wait ] || deadline=(--deadline "$wait")
status=0
"${upload[@]}" --wait ${deadline[@]+"${deadline[@]}"} ${yes[@]+"${yes[@]}"} || status=$?
# 1: the sync ended, and not well. Then, too, is it worth knowing what was indexed.
[ "$status" -le 1 ] || exit "$status"
"$vmq" sync verify ${about[@]+"${about[@]}"} || status=$?
exit "$status"
