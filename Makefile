# Everything a developer types. Needs Python 3.11 or newer (with venv and pip) and make; all else goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test coverage lint format types docs audit sabotage bench messages constraints check-python clean
.DELETE_ON_ERROR:

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo ## launch the example quiz from a simulated LMS, with nothing else to install
	@$(BIN)/python -m example_project.demo

test: $(VENV)/.dev ## run the whole suite on SQLite; what needs a service that is not there is skipped
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

coverage: $(VENV)/.dev ## run the suite and list the branches that no test walks
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered

lint: $(VENV)/.dev ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## mend style and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## check types
	$(BIN)/mypy

docs: $(VENV)/.dev ## build the documentation site into docs/_build; a warning is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --fresh-env --quiet --builder html docs docs/_build/html
	@echo "The site is in docs/_build/html/index.html"

audit: $(VENV)/.dev ## look for known weaknesses, in our code and in what it depends on
	$(BIN)/python .ci/audit.py

sabotage: $(VENV)/.dev ## break each promise on purpose, one at a time: its test must notice
	$(BIN)/python -m tests.sabotage

bench: $(VENV)/.bench ## measure, beside other ways and beside the limit; half an hour (see docs/performance.md)
	@$(BIN)/python -m benchmarks $(BENCH)

messages: $(VENV)/.dev ## collect the texts for people into ltiaas_django/locale, and compile their translations
	@command -v msgfmt >/dev/null && command -v xgettext >/dev/null \
	  || { echo "'make messages' needs GNU gettext. On Debian and Ubuntu: apt-get install gettext" >&2; exit 1; }
	cd ltiaas_django && ../$(BIN)/python -m django makemessages --all --add-location file --no-obsolete
	cd ltiaas_django && ../$(BIN)/python -m django compilemessages

constraints: check-python ## renew constraints.txt from the newest releases
	@set -e; scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; \
	$(PYTHON) -m venv "$$scratch"; \
	"$$scratch/bin/python" -m pip --disable-pip-version-check install --quiet --editable '.[dev,bench]' 'Django>=5.2,<6'; \
	{ echo "# The releases this project is developed with. Renewed by: make constraints"; \
	  echo "# The sessions of noxfile.py replace the line of Django."; \
	  "$$scratch/bin/python" -m pip freeze --exclude-editable; } > "$$scratch/constraints.txt"; \
	cp "$$scratch/constraints.txt" constraints.txt; \
	grep -c == constraints.txt | sed 's/$$/ releases in constraints.txt/'

clean: ## remove the environments and caches
	rm -rf $(VENV) .nox .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage htmlcov build dist docs/_build

# The stamps live inside the environment: it is filled again when a file that describes it changes. The pip that comes
# with a Python may be years old, and takes twice as long over it.
$(VENV)/.demo: pyproject.toml constraints.txt | check-python
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(PIP) install --quiet --upgrade pip
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[example]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | check-python
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV), with the tools for development ..."
	@$(PIP) install --quiet --upgrade pip
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $(VENV)/.demo $@

$(VENV)/.bench: pyproject.toml constraints.txt | check-python
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV), with what the benchmarks compare ..."
	@$(PIP) install --quiet --upgrade pip
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[bench]'
	@touch $(VENV)/.demo $@

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	  || { echo "This project needs Python 3.11 or newer; '$(PYTHON)' is not. Say: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "'$(PYTHON)' lacks venv or pip. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
