# `make up` runs Cloister; `make test` tests it. Each makes .venv by itself, once.

# One more than there are processors, as tests wait now and then; each file in one process.
PARALLEL := -n $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1) --dist loadfile

.PHONY: up test bench bench-policy lint format lock clean

up:
	@scripts/venv run
	@exec .venv/bin/cloister up

test:
	@scripts/venv dev
	@exec .venv/bin/python -m pytest $(PARALLEL) $(ARGS)

bench:
	@scripts/venv run
	@exec .venv/bin/python bench/run.py $(ARGS)

bench-policy:
	@scripts/venv run
	@exec .venv/bin/python -m bench.policy.run $(ARGS)

lint:
	@scripts/venv dev
	.venv/bin/python -m ruff check .
	.venv/bin/python -m ruff format --check .
	.venv/bin/python -m mypy
	.venv/bin/lint-imports

format:
	@scripts/venv dev
	.venv/bin/python -m ruff check --fix .
	.venv/bin/python -m ruff format .

lock:
	@scripts/lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info
