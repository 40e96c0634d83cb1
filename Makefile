# `make run` starts the whole venue; `make test` checks everything. The first of either sets the project up.
PYTHON := $(shell sh piggy/local/python.sh)
VENV := .venv/bin
WORKERS ?= 2
export PIGGY_BEGAN_AT_S := $(shell date +%s)

.PHONY: help setup setup-dev run down test unit core rest lint types contracts bench mutants chaos clean

help:  ## what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup:
	@test -n "$(PYTHON)"
	@$(PYTHON) -m piggy.local.bootstrap

setup-dev:
	@test -n "$(PYTHON)"
	@$(PYTHON) -m piggy.local.bootstrap --dev

run: setup  ## start the venue (Ctrl-C stops it); TICKS=dir quotes recorded ticks, FLOW=0 leaves the clients out
	@exec $(VENV)/python manage.py up

down:  ## stop a venue started elsewhere
	@exec $(VENV)/python manage.py down

test: setup-dev lint types contracts unit  ## everything: style, types, import contracts, tests on real servers

unit: core rest  ## the tests alone

# The rules' tests run here, once, under branch coverage: every branch of piggy/core is to be taken, what none takes is
# printed, and below 100 % the step fails. Every worker's data are combined first. The compiled book.pyx and quotebook.pyx are not in the figure:
# coverage cannot see into them; naive twins hold them, command by command (BOOK_COMMANDS=n for more of those).
# Properties are tried with one seed here, so that neither the figure nor a build is a matter of luck; `pytest` by itself
# tries new ones.
CORE_TESTS := tests/core tests/engine/test_snapshot.py
core: setup-dev  ## the rules' tests, with branch coverage of piggy/core
	@$(VENV)/coverage erase
	$(VENV)/coverage run -m pytest --hypothesis-seed=1 -n $(WORKERS) --dist worksteal $(CORE_TESTS)
	@$(VENV)/coverage combine --quiet
	$(VENV)/coverage report

rest: setup-dev  ## all other tests, on real servers
	$(VENV)/pytest --hypothesis-seed=1 -n $(WORKERS) --dist loadfile $(addprefix --ignore=,$(CORE_TESTS))

lint: setup-dev  ## ruff
	$(VENV)/ruff check .

types: setup-dev  ## mypy, strict
	$(VENV)/mypy piggy apps

contracts: setup-dev  ## who may import whom
	$(VENV)/lint-imports

bench: setup  ## every bench with its figures: make bench NAME=desk for one
	$(VENV)/python manage.py bench $(NAME)

mutants: setup-dev  ## mutation testing of risk, margin and routing; SECONDS=600 bounds it
	$(VENV)/python -m tests.mutation --seconds $(or $(SECONDS),3600)

# Every process killed, stopped and resumed, Redis emptied, PostgreSQL restarted, the disk filled, then the checkers.
chaos: setup-dev  ## troubles on real processes under flow, then every check: make chaos N=20 SEED=1
	CHAOS_CYCLES=$(or $(N),20) CHAOS_SEED=$(or $(SEED),1) CHAOS_DISK=1 CHAOS_ONLY="$(ONLY)" \
		$(VENV)/pytest -q -s tests/flows/test_chaos.py

clean:  ## forget what was installed and compiled; data under .run stay
	rm -rf .venv build node_modules static/vendor staticfiles
