# Two commands do everything on a fresh machine: "make demo" and "make test".
# Each installs what it needs first (.ci/setup), and says plainly what it lacks and cannot install.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Inside the guest a missing prerequisite is an error, not a skip; so it is for the ABI comparison.
HW := VB2USER_HW=1
RUN = $(BIN)/vb2user vm run --no-vivid --probe --timeout $(if $(FEW),4200,14400)

.PHONY: help setup programs demo memops test unit gate bench docs lint types coverage hw hw-6.12 hw-6.1 compiled soak mutants
.PHONY: uapi man dist clean

help:
	@echo "make demo   capture through every memory type on a real kernel; results in build/demo/"
	@echo "make memops the fifteen mem ops on all three allocators, by the kernel's own trace; results in build/memops/"
	@echo "make test   lint, types, unit tests, ABI comparison, instructions per frame, the site, hardware tests in kernels 6.12 and 6.1"
	@echo "make hw FEW=   the hardware tests with all parameters, and those that take minutes"
	@echo "make lint | types | unit | gate | docs | hw-6.12 | hw-6.1   parts of make test"
	@echo "make coverage  what the unit tests reach; results in build/coverage/"
	@echo "make bench  what a frame costs, in instructions, ours and others' programs; results in build/bench/"
	@echo "make soak   long runs of streams in a kernel: random use, unplugging, SIGKILL"
	@echo "make mutants  how many seeded faults of drivers validate finds, and v4l2-compliance; results in build/mutants/"
	@echo "make dist   wheel and source distribution, in dist/"
	@echo "make man    man pages, in build/man/"
	@echo "make uapi   write the bindings anew from the headers in tests/abi/headers"

# The stamp is older than what it was made from when something has to be installed again.
$(VENV)/.ready: pyproject.toml .ci/setup
	PYTHON="$(PYTHON)" bash .ci/setup "$(VENV)"

setup: $(VENV)/.ready

# What only the hardware tests want: other people's programs to be traced.
$(VENV)/.programs: $(VENV)/.ready .ci/setup
	PYTHON="$(PYTHON)" bash .ci/setup "$(VENV)" programs

programs: $(VENV)/.programs

demo: setup
	$(BIN)/python -m vb2user.validate.reports.demo --out build/demo

memops: setup
	$(BIN)/python -m vb2user.validate.reports.memops --out build/memops --kernel $(or $(KERNEL),6.12)

test: lint types unit gate docs hw
	@echo "all of make test passed"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	git ls-files -z | xargs -0 $(BIN)/codespell

types: setup
	bash .ci/types $(BIN)

unit: setup
	VB2USER_CI=1 $(BIN)/python -m pytest tests -q --numprocesses auto --dist loadfile

# What the unit tests reach, by line and branch; what they do in processes of their own is not counted.
coverage: setup
	mkdir -p build/coverage
	$(BIN)/coverage run -m pytest tests -q -p no:cacheprovider
	$(BIN)/coverage html --quiet
	$(BIN)/coverage report | tee build/coverage/report.txt

# Instructions per frame, without a kernel, compared with the stored ones: "hwtests/bench/gate.py --store" when they are
# better, or worse for a reason.
gate: setup
	$(BIN)/python hwtests/bench/gate.py

# Other people's libraries, to be compared with.
$(VENV)/.bench: $(VENV)/.programs
	PYTHON="$(PYTHON)" bash .ci/setup "$(VENV)" bench

# Every client in a kernel whose clock counts instructions; ten to twenty-five minutes in all.
bench: setup programs $(VENV)/.bench
	$(BIN)/python hwtests/bench/native.py
	$(BIN)/python hwtests/bench/growth.py
	$(BIN)/python hwtests/bench/bench.py --kernel $(or $(KERNEL),6.12)

# The site, in build/site; a dead link, a page that the navigation does not have, a name that is gone: an error.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --config-file .ci/mkdocs.yml

# What hangs on the kernel runs in both, all else in one; "make hw-6.1 SELECT_6.1=" runs everything there, too.
SELECT_6.1 := -m "not one_kernel"

# Of each test's combinations of parameters so many are run, drawn for each test and kernel. "make hw FEW=" runs all, and
# the tests that are marked as long, which takes an emulated kernel more than an hour.
FEW ?= 1

# Both kernels at once: a guest keeps hardly more than one processor busy.
hw: setup programs compiled
	$(MAKE) --jobs=2 --output-sync=target hw-6.12 hw-6.1

hw-6.12 hw-6.1: hw-%: setup programs compiled
	mkdir -p build/hw-$*
	$(HW) $(RUN) --kernel $* --results build/hw-$* -- \
		python -m pytest hwtests -q -p no:cacheprovider $(SELECT_$*) $(if $(FEW),--few $(FEW)) \
		--durations=20 -o faulthandler_timeout=600 \
		--junit-xml=build/hw-$*/junit.xml

# Here it takes seconds; each guest, emulated, would compile everything again.
compiled: setup
	$(BIN)/python -m compileall -q vb2user
	$(BIN)/python -m pytest hwtests --collect-only -q -p no:cacheprovider >/dev/null

# Hours by emulation: a hundred thousand frames, hundreds of unplugs and kills, a thousand cycles.
soak: setup programs
	mkdir -p build/soak
	$(HW) VB2USER_SOAK=1 $(BIN)/vb2user vm run --no-vivid --timeout 21600 --kernel $(or $(KERNEL),6.12) \
		--results build/soak -- python -m pytest hwtests -m soak -q -s -p no:cacheprovider

# Hours by emulation. It goes on where it was interrupted; ONLY="core-* vivid-*" takes a selection.
mutants: setup
	$(BIN)/python hwtests/mutants/mutants.py --out build/mutants --kernel $(or $(KERNEL),6.12) --only "$(ONLY)"

uapi: setup
	$(BIN)/python tests/abi/generate.py

# The wheel is built out of the source distribution, so that this one is tried, too.
dist: setup
	$(BIN)/python -m build --outdir dist .

man: setup
	$(BIN)/python -m vb2user.cli.man build/man

clean:
	rm -rf build dist $(VENV) .mypy_cache .ruff_cache .pytest_cache
