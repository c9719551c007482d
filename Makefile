# Flagfall: everything a person needs is one word here. `make demo` and `make test` set up by themselves.

PYTHON ?= python3
BIN := .venv/bin
CLIENTS = import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["clients"])
READY := .venv/.ready
# Debian packages: libnfc-bin and valgrind are clients, softhsm2 a token, that tests and benchmarks use.
PACKAGES := python3-venv libnfc-bin valgrind postgresql ppp softhsm2 haproxy openssl fonts-wqy-zenhei

.PHONY: setup demo test soak bench budget lint format flash deploy clean

setup: $(READY)

$(READY): pyproject.toml tests/oracle/package-lock.json
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		missing=""; \
		for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || missing="$$missing $$p"; done; \
		if [ -n "$$missing" ]; then \
			echo "installing Debian packages:$$missing"; \
			apt-get update -qq && \
			DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
		fi; \
	else \
		for p in $(PACKAGES); do dpkg -s $$p >/dev/null 2>&1 || echo "please install: $$p"; done; \
	fi
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Flagfall needs Python 3.11 or newer; name it with PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing Python packages into .venv"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev,hsm,lock]'
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps \
		$$($(BIN)/python -c '$(CLIENTS)')
	@command -v npm >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null; } || \
		{ echo "please install: nodejs npm"; exit 1; }
	@cd tests/oracle && npm ci --silent --no-audit --no-fund
	@touch $(READY)

demo: setup
	@$(BIN)/flagfall demo

test: setup
	@$(BIN)/python -m pytest -n 2 --dist loadfile

# A million taps with everything going wrong: about an hour on two cores. What is interrupted goes
# on where it was; a violation ends it with the seed that shows it again.
TAPS = 1000000
soak: setup
	@$(BIN)/flagfall simulate --taps $(TAPS) --jobs 2 --keep build/soak/simulation.json
	@FLAGFALL_SOAK=1 $(BIN)/python -m pytest -n 2 --dist loadfile --timeout 7200

bench: setup
	@$(BIN)/python tests/bench/run.py

budget: setup
	@$(BIN)/python -m flagfall_host.flashing.budget

lint: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

flash: setup
	@test -n "$(PORT)" || { echo "say where the unit is: make flash PORT=/dev/ttyACM0"; exit 2; }
	@$(BIN)/flagfall flash --port $(PORT) $(if $(FIRMWARE),--firmware $(FIRMWARE)) $(if $(BOARD),--board $(BOARD))

deploy: setup
	@test -n "$(PORT)" || { echo "say where the unit is: make deploy PORT=/dev/ttyACM0"; exit 2; }
	@$(BIN)/flagfall deploy --port $(PORT) $(if $(BOARD),--board $(BOARD))

clean:
	rm -rf build .venv
