# Everything sets itself up: a bare Debian machine needs only python3, python3-venv, make and git.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
NODE_MODULES := tests/node/node_modules/.package-lock.json

.PHONY: help demo test cover check format catalogue docs clean
.PHONY: bench-overhead bench-ledger bench-overshoot bench-budgets bench-cache bench-semantic bench-routing

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

# The user's environment: the base install, the Parquet archive and the cache's encryption.
$(VENV)/.user: pyproject.toml uv.lock
ifdef UV
	uv sync --quiet --frozen --no-default-groups --extra archive --extra cache --extra routing --extra zstd
else
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[archive,cache,routing,zstd]'
endif
	touch $@

# The developers' environment on top of it: the locked versions, since checkers and stubs of others
# judge otherwise; wordllama comes with the group, where it has a wheel. Where there is no uv, pip
# brings it.
$(VENV)/.dev: pyproject.toml uv.lock
ifdef UV
	uv sync --quiet --frozen --all-extras --no-extra wordllama --group dev --group catalogue
else
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip --upgrade >/dev/null
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8'
	$(BIN)/python -m uv sync --quiet --frozen --inexact --all-extras --no-extra wordllama --group dev --group catalogue
endif
	touch $@ $(VENV)/.user

$(NODE_MODULES): tests/node/package.json tests/node/package-lock.json
	@if command -v npm >/dev/null 2>&1; then npm ci --silent --prefix tests/node && touch $@; \
	else echo "npm is not installed: the Node SDK tests will be skipped"; fi

demo: $(VENV)/.user ## Simulated providers, the gateway, traffic of a support product, the report
	@$(BIN)/farthing demo

test: check $(NODE_MODULES) ## All checks and all tests, as CI runs them
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

cover: $(VENV)/.dev ## Branch coverage of the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --cov --cov-report=term

check: $(VENV)/.dev ## Style, types and import order
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Format the code and mend what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

catalogue: $(VENV)/.dev ## Compile the price catalogue again from its pinned sources
	$(BIN)/python tools/compile_catalogue.py

docs: $(VENV)/.dev ## Write the generated pages again
	$(BIN)/python tools/write_docs.py

bench-overhead: $(VENV)/.dev ## Latency and CPU beside nginx, the bare floor and LiteLLM (QUICK=1: a minute)
	$(BIN)/python bench/overhead.py

bench-ledger: $(VENV)/.dev ## Journal, drainer and report figures
	$(BIN)/python bench/ledger.py

bench-cache: $(VENV)/.dev ## What a hit of the exact cache takes, and what the cache costs others
	$(BIN)/python bench/cache.py

bench-semantic: $(VENV)/.dev ## A semantic look-up by itself, and hits and other calls inside the gateway
	OMP_NUM_THREADS=1 $(BIN)/python bench/semantic.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/semantic_gateway.py

bench-routing: $(VENV)/.dev ## Routing over HTTP beside its offline replay; faults; the stage's time (QUICK=1: a minute)
	$(BIN)/python bench/routing_e2e.py

bench-overshoot: $(VENV)/.dev ## Overspending by 128 streams at once, beside counting after the fact
	$(BIN)/python bench/overshoot.py

bench-budgets: $(VENV)/.dev ## Throughput with ten budgets beside none
	$(BIN)/python bench/budgets.py

clean: ## Remove what was built
	rm -rf $(VENV) .demo .bench tests/node/node_modules dist
