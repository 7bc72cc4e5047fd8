# make setup | demo | test | test-services | check | bench — each sets up what it needs on a fresh Debian or Ubuntu machine.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# make test-services starts the real Kafka and Elasticsearch, runs what needs them, and stops them again.
.PHONY: setup demo test test-services check format bench coverage lock clean
setup: $(STAMP)

$(STAMP): requirements.lock deploy/bootstrap.lock pyproject.toml deploy/setup
	@PYTHON="$(PYTHON)" sh deploy/setup
	@touch $@

demo: setup
	@$(BIN)/soc demo

test: setup
	$(BIN)/python -m pytest -m "not services" $(PYTEST_FLAGS)

test-services: setup
	@sh deploy/with-services $(BIN)/python -m pytest -m services $(PYTEST_FLAGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/soc rules lint rules
	$(BIN)/soc rules test rules
	$(BIN)/sigma check -x attacktag -x d3_fendtag rules

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

coverage: setup
	$(BIN)/python -m pytest --cov=soc --cov-report=term:skip-covered

bench: setup
	$(BIN)/python -m benchmarks

lock:
	$(BIN)/uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --group dev -q pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) var .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
