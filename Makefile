# Every target does its own set-up first (scripts/setup): a .venv in this checkout, nothing outside it.
# A make that fails exits 2, whatever the command said; run .venv/bin/vmq for its own exit codes.

JOBS ?= 2
run := .venv/bin

# Compiled modules are kept beside their sources (git-ignored), matplotlib's list of fonts in .venv.
unexport PYTHONDONTWRITEBYTECODE
export MPLCONFIGDIR ?= $(CURDIR)/.venv/cache/matplotlib

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: bench browser clean demo help lab lint logs setup sync test test-quick wait-sync

demo: setup ## a SyncFailed incident from page to review, on a local AWS, Slack and mail server
	@$(run)/python scripts/demo.py

test: setup browser ## all tests: linters, notebooks and browser included
	$(run)/python -m pytest -n $(JOBS) --dist loadfile --nbval-lax --nbval-cell-timeout=120 \
		tests $(wildcard notebooks/examples)

test-quick: setup ## the everyday tests
	$(run)/python -m pytest -n $(JOBS) --dist loadfile -m "not slow and not browser and not notebooks" tests

lab: setup ## JupyterLab on the investigation notebook
	@$(run)/vmq lab

logs: setup ## the connector's logs: make logs SYNC_DATA_SOURCE_ID=<id> [SINCE=2h] [UNTIL=<time>]
	@[ -n "$$SYNC_DATA_SOURCE_ID" ] || { \
		echo "make logs: which data source? make logs SYNC_DATA_SOURCE_ID=<id> [SINCE=2h] [UNTIL=<time>]" >&2; exit 2; }
	@$(run)/vmq logs --data-source "$$SYNC_DATA_SOURCE_ID" $${SINCE:+--since "$$SINCE"} $${UNTIL:+--until "$$UNTIL"}

sync: setup ## start a sync (or join the one that is running): make sync [CONNECTOR=docs]
	@$(run)/vmq sync start --yes $${CONNECTOR:+--connector "$$CONNECTOR"}

wait-sync: setup ## wait until that sync has ended: make wait-sync [CONNECTOR=docs] [DEADLINE=20m]
	@$(run)/vmq sync wait $${CONNECTOR:+--connector "$$CONNECTOR"} $${DEADLINE:+--deadline "$$DEADLINE"}

bench: ## measure the kit beside its peers (docs/benchmarks.md)
	@sh scripts/setup bench
	@$(run)/python scripts/bench_peers.py
	@$(run)/python scripts/bench.py

lint: setup ## ruff, mypy --strict, the direction of imports
	$(run)/ruff check .
	$(run)/ruff format --check .
	$(run)/mypy
	$(run)/lint-imports --no-logo

setup: ## only the set-up that every target does
	@sh scripts/setup

# Only the tests need one. Without it they say so and are skipped; in CI that is a failure.
browser: setup
	@$(run)/python scripts/browser.py --install >/dev/null || [ -z "$$CI" ]

clean: ## remove the environment and every cache, but no incident
	rm -rf .venv .uv-cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:
	@echo "make <target>, each from a fresh clone:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
