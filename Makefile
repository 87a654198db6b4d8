# The commands of the repository; `make` alone lists them. A fresh machine needs make and Python 3.11 or newer.

PYTHON ?= python3
ARGS ?=
# A node is eight processes: without bytecode each of them compiles all that it imports, every time it starts.
unexport PYTHONDONTWRITEBYTECODE
ENGINE ?= espeak
AUTH ?= auth

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# For two cores. Unit tests need CPU alone, so torch's run beside them. The others run nodes, whose waits have limits: they
# run when nothing else does, three at once, because more delay each other. A file stays on one worker, and the
# longest come first.
UNIT_TESTS := -n 2 --dist loadfile
NODE_TESTS := -n 3 --dist loadfile --no-loadscope-reorder
RUNS := $(VENV)/.runs
DEVELOPS := $(VENV)/.develops
VENV_TORCH := .venv-torch
TORCH := $(VENV_TORCH)/.installed
VENV_SOVITS := .venv-sovits
SOVITS := $(VENV_SOVITS)/.installed
VENV_INTEGRATIONS := .venv-integrations
INTEGRATIONS := $(VENV_INTEGRATIONS)/.installed
VENV_TOOLS := .venv-tools
TOOLS := $(VENV_TOOLS)/.installed
VENV_RANGES := .venv-ranges
VENV_DIST := .venv-dist
WHEELS := $(VENV_DIST)/.installed
SOVITS_WANTS := services/synth/engines/gpt_sovits_local/requirements.txt
VENV_HOSTS := .venv-hosts
HOSTS := $(VENV_HOSTS)/.installed
HOSTS_WANTS := tests/hosts/requirements.txt

# What the three parts of the tests say: torch's is shown after that of the unit tests, and the last line of each ends it.
UNIT_LOG := .orastream/test-unit.log
TORCH_LOG := .orastream/test-torch.log
NODE_LOG := .orastream/test-node.log

# What an engine needs for the demonstration. Of vits: voices, random ones unless TTS_MODEL_DIR names real ones.
SAMPLE := .orastream/sample-voices
NEEDS_vits := $(TORCH) $(if $(TTS_MODEL_DIR),,$(SAMPLE)/.made)
# Nothing from the phrase cache: each mode is to show what the engine takes.
GIVEN_vits := --set TTS_PHRASE_CACHE=off --set ENGINE_PYTHON=$(VENV_TORCH)/bin/python --set TTS_MODEL_DIR=$(or $(TTS_MODEL_DIR),$(SAMPLE))
NOTE_vits := $(if $(TTS_MODEL_DIR),,"The voices are drawn at random: you will hear noise in the rhythm of the text, no words.")

.DEFAULT_GOAL := help
.PHONY: help setup torch sovits integrations hosts auth demo dist test test-dist test-sovits test-integrations test-hosts ranges lock licences \
	sbom chaos chaos-streams chaos-planted soak check bench picture clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(DEVELOPS) ## Install everything into .venv (the others do it by themselves)

torch: $(TORCH) ## Install what the torch engines need into .venv-torch: a gigabyte, not part of setup

sovits: $(SOVITS) ## Install GPT-SoVITS into .venv-sovits, for the engine gpt_sovits_local: minutes, not part of setup

integrations: $(INTEGRATIONS) ## Install LiveKit Agents, Pipecat and the node into .venv-integrations: not part of setup

hosts: $(HOSTS) ## Install what the clients are tested in into .venv-hosts: Django, gunicorn, gevent, Celery; not part of setup

auth: $(RUNS) ## Write NATS accounts and keys into auth/, and have compose use them: ARGS="--caller shop" (again for another)
	$(BIN)/orastream init-auth $(AUTH) $(ARGS)
	@if test -s .env && test -n "$$(tail -c 1 .env)"; then echo >>.env; fi
	@grep -qs '^NATS_AUTH_DIR=' .env || echo 'NATS_AUTH_DIR=./$(AUTH)' >>.env
	@! grep -qs '^tls {' $(AUTH)/server/tls.conf || grep -qs '^NATS_NODE_URL=' .env || echo 'NATS_NODE_URL=tls://nats:4222' >>.env
	@echo; echo '.env now has:'; grep -E '^NATS_(AUTH_DIR|NODE_URL)=' .env | sed 's|//[^@/]*@|//…@|'

demo: $(RUNS) $(NEEDS_$(ENGINE)) ## Start a node, speak Korean and English in all three modes, compare, leave the WAVs in demo-out/
	$(if $(NOTE_$(ENGINE)),@echo $(NOTE_$(ENGINE)))
	$(BIN)/orastream demo --engine $(ENGINE) $(GIVEN_$(ENGINE)) $(ARGS)

# The wheels are made of the source archives, so that both have all files, and nothing that lies in build/.
dist: $(TOOLS) ## Build the wheel and the source archive of both packages into dist/
	rm -rf dist
	$(VENV_TOOLS)/bin/python -P -m build --no-isolation --outdir dist shared >/dev/null
	$(VENV_TOOLS)/bin/python -P -m build --no-isolation --outdir dist . >/dev/null
	@ls dist

test: $(DEVELOPS) $(TORCH) ## Run all tests; those that need Docker, Prometheus or strace skip themselves where there is none
	@mkdir -p $(dir $(UNIT_LOG)) && rm -f $(UNIT_LOG).rc $(NODE_LOG).rc
	@$(VENV_TORCH)/bin/python -m pytest --confcutdir=tests/torch tests/torch $(ARGS) >$(TORCH_LOG) 2>&1 & torch=$$!; \
	trap 'kill $$torch' INT TERM; \
	colour=; if test -t 1; then colour=--color=yes; fi; \
	{ $(BIN)/python -m pytest $$colour $(UNIT_TESTS) tests/unit $(ARGS); echo $$? >$(UNIT_LOG).rc; } | tee $(UNIT_LOG); \
	wait $$torch; torch=$$?; cat $(TORCH_LOG); \
	{ REQUIRE_TORCH=1 $(BIN)/python -m pytest $$colour $(NODE_TESTS) tests/chaos tests/e2e tests/integration $(ARGS); \
		echo $$? >$(NODE_LOG).rc; } | tee $(NODE_LOG); \
	echo; printf '%-24s %s\n' tests/unit: "$$(tail -n 1 $(UNIT_LOG))" tests/torch: "$$(tail -n 1 $(TORCH_LOG))" \
		'chaos, e2e, integration:' "$$(tail -n 1 $(NODE_LOG))"; \
	test $$torch -eq 0 -a "$$(cat $(UNIT_LOG).rc)" -eq 0 -a "$$(cat $(NODE_LOG).rc)" -eq 0

# pytest is in a folder of its own: the bill of materials has what is in .venv-dist.
test-dist: $(DEVELOPS) $(WHEELS) ## Install the wheels into an empty environment, and speak with a node that is started from them
	$(VENV_TOOLS)/bin/python -m pip --python $(VENV_DIST)/bin/python install --quiet --disable-pip-version-check \
		--upgrade --target $(VENV_DIST)-testing pytest pytest-asyncio
	$(BIN)/python -m pytest --confcutdir=tests/wheels tests/wheels $(ARGS)

test-sovits: $(SOVITS) ## Run the tests of the engine gpt_sovits_local, in its own environment
	$(VENV_SOVITS)/bin/python -m pytest --confcutdir=tests/sovits tests/sovits $(ARGS)

test-integrations: $(INTEGRATIONS) ## Check the plug-ins of LiveKit Agents and Pipecat, with the real packages, on a real node
	$(VENV_INTEGRATIONS)/bin/python -m mypy shared/orastream/integrations/*.py examples/*.py
	$(VENV_INTEGRATIONS)/bin/python -m pytest tests/integrations $(ARGS)

lock: $(TOOLS) ## Write deploy/locks, from which the images are built, after a change of dependencies; UPGRADE=1 takes the newest
	$(VENV_TOOLS)/bin/python deploy/locks/lock.py $(if $(UPGRADE),--upgrade)

licences: $(WHEELS) ## Write docs/reference/third-party.md: the licences of what is in the images
	$(VENV_TOOLS)/bin/python deploy/locks/licences.py $(VENV_DIST)

sbom: $(WHEELS) ## Write a bill of materials (CycloneDX) for each image into dist/sbom/
	@mkdir -p dist/sbom
	$(VENV_TOOLS)/bin/cyclonedx-py environment --of JSON -o dist/sbom/node.cdx.json $(VENV_DIST)/bin/python
	$(VENV_TOOLS)/bin/python deploy/locks/sbom.py dist/sbom/node.cdx.json dist/sbom

ranges: dist ## Run the client's tests with the lowest and the highest releases of its dependencies; print what it installs
	$(VENV_TOOLS)/bin/python -m tests.ranges dist/orastream-[0-9]*.whl $(VENV_RANGES)

test-hosts: $(DEVELOPS) $(HOSTS) ## Run the tests of the clients in Django, gunicorn, uvicorn, gevent, eventlet and Celery
	$(BIN)/python -m pytest tests/hosts $(ARGS)

chaos: $(DEVELOPS) ## Disturb a node with faults that overlap, and judge it: SECONDS=60 SEED=(by the clock) NATS=1 (or 3) SESSIONS=20
	$(BIN)/python -m tests.chaos.composed --seconds $(or $(SECONDS),60) $(if $(SEED),--seed $(SEED)) \
		--nats $(or $(NATS),1) --sessions $(or $(SESSIONS),20) $(ARGS)

chaos-streams: $(DEVELOPS) ## Protocol v2 while frames are damaged (PART=damage), or processes killed (PART=kills): SEED=(by the clock)
	$(BIN)/python -m tests.chaos.streams $(or $(PART),damage) $(if $(SEED),--seed $(SEED)) $(ARGS)

chaos-planted: $(DEVELOPS) ## Plant ten faults in turn: does make chaos find them? 20 minutes; ARGS=NAME for one, ARGS=--without for none
	$(BIN)/python -m tests.chaos.planted $(ARGS)

soak: $(DEVELOPS) ## Many short conversations: memory, descriptors and latency by time: MINUTES=5 SEED=1
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),5) --seed $(or $(SEED),1) $(ARGS)

check: $(DEVELOPS) ## Format, lint, types, the import rules, the rules of files and documents
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tests/house/file_length.py
	$(BIN)/python tests/house/class_names.py
	$(BIN)/python tests/house/docs.py
	$(BIN)/python tests/house/words.py

bench: $(DEVELOPS) $(if $(findstring voices,$(ARGS)),$(TORCH)) ## Measure what the mechanisms cost: CPU per chunk, rates, latency
	$(BIN)/python -m tests.bench $(ARGS)

picture: $(DEVELOPS) ## Make docs/console.png anew, of a real node in a real Chromium
	$(BIN)/python -m tests.picture docs/console.png $(ARGS)

clean: ## Remove everything that these commands have made, .venv too
	rm -rf $(VENV) $(VENV_TORCH) $(VENV_SOVITS) $(VENV_INTEGRATIONS) $(VENV_HOSTS) $(VENV_TOOLS) $(VENV_RANGES) $(VENV_DIST) $(VENV_DIST)-testing
	rm -rf demo-out .orastream build dist *.egg-info shared/build shared/*.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find shared services tests -type d -name __pycache__ -prune -exec rm -rf {} +

# What runs the node, and on top of it what develops it. Made again when a pyproject.toml has changed; each stamp comes
# last, so that a set-up that was cut short is done again.
$(RUNS): pyproject.toml shared/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed; name one: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "cannot make $(VENV); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PIP) -e './shared[cli,auth,service]' -e '.[local]'
	@touch $@

$(DEVELOPS): $(RUNS)
	$(PIP) -e './shared[cli,auth,service]' -e '.[dev]'
	@touch $@

# Which engine runs in it is up to TTS_ENGINE; the node itself stays in $(VENV). What is installed there is compiled: else
# each engine process takes most of a minute's work to import it.
$(TORCH): pyproject.toml shared/pyproject.toml
	@$(PYTHON) -m venv $(VENV_TORCH) || { rm -rf $(VENV_TORCH); \
		echo "cannot make $(VENV_TORCH); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(VENV_TORCH)/bin/python -m pip install --quiet --disable-pip-version-check \
		-e './shared[service]' -e '.[synth,torch,pocket,test]'
	@touch $@

# What makes packages, locks and bills of material; no test and no service imports it.
$(TOOLS): pyproject.toml
	@$(PYTHON) -m venv $(VENV_TOOLS) || { rm -rf $(VENV_TOOLS); \
		echo "cannot make $(VENV_TOOLS); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(VENV_TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check 'setuptools==84.2.1' build==1.6.1 \
		cyclonedx-bom==7.5.0 pip==26.3 uv==0.13.9
	@touch $@

# The wheels with the releases that the images have; each time anew, as the wheels are.
$(WHEELS): dist
	$(VENV_TOOLS)/bin/python -m venv --without-pip --clear $(VENV_DIST)
	sed -n 's/^\([^ #]*==[^ ]*\) .*/\1/p' deploy/locks/*.txt >$(VENV_DIST)/constraints.txt
	$(VENV_TOOLS)/bin/python -m pip --python $(VENV_DIST)/bin/python install --quiet --disable-pip-version-check \
		-c $(VENV_DIST)/constraints.txt \
		"$$(ls dist/orastream-[0-9]*.whl)[cli,auth]" "$$(ls dist/orastream_services-[0-9]*.whl)[local]"
	@touch $@

# In two steps, as the package's numpy and pydantic are older than what it could have beside the node; see $(SOVITS_WANTS).
$(SOVITS): pyproject.toml shared/pyproject.toml $(SOVITS_WANTS)
	@$(PYTHON) -m venv $(VENV_SOVITS) || { rm -rf $(VENV_SOVITS); \
		echo "cannot make $(VENV_SOVITS); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(VENV_SOVITS)/bin/python -m pip install --quiet --disable-pip-version-check -r $(SOVITS_WANTS)
	$(VENV_SOVITS)/bin/python -m pip install --quiet --disable-pip-version-check -e ./shared -e '.[synth,test]'
	@touch $@

# The tests start the node itself, so the frameworks must fit beside everything that it needs.
$(INTEGRATIONS): pyproject.toml shared/pyproject.toml
	@$(PYTHON) -m venv $(VENV_INTEGRATIONS) || { rm -rf $(VENV_INTEGRATIONS); \
		echo "cannot make $(VENV_INTEGRATIONS); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(VENV_INTEGRATIONS)/bin/python -m pip install --quiet --disable-pip-version-check \
		-e './shared[cli,auth,service]' -e '.[local,test,integrations]'
	@touch $@

$(HOSTS): shared/pyproject.toml $(HOSTS_WANTS)
	@$(PYTHON) -m venv $(VENV_HOSTS) || { rm -rf $(VENV_HOSTS); \
		echo "cannot make $(VENV_HOSTS); on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(VENV_HOSTS)/bin/python -m pip install --quiet --disable-pip-version-check -e ./shared -r $(HOSTS_WANTS)
	@touch $@

$(SAMPLE)/.made: $(TORCH)
	$(VENV_TORCH)/bin/python -m services.synth.engines.vits.sample $(SAMPLE)
	@touch $@
