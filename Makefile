# SPDX-License-Identifier: Apache-2.0
# The few commands a person needs; meson does the work. `make help` lists them.
SHELL := /bin/bash
LAB_DIR ?= $(CURDIR)/lab-state
BUILD ?= build
NAME ?= jumbo-management
NINJA_FLAGS ?=

.PHONY: help deps build build-test demo down test test-hosts stories story bench faults soak soak-sim promises fuzz fuzz-build fuzz-keep lint docs clean

help:
	@printf '%s\n' \
	  'make demo     install what is needed, build, bring up a lab of four hosts, play the story, leave the pool running' \
	  'make down     remove the lab and every trace of it' \
	  'make test     build with sanitizers and run the tests (as root: also those with namespaces and short labs)' \
	  'make test-hosts   the longer tests of whole hosts: pools, storage, VMs, repairs, the kernel datapath' \
	  'make stories  play the stories once, each on a fresh lab (without those that a file by-hand leaves out)' \
	  'make story NAME=jumbo-management   play one story' \
	  'make bench    measure, ours beside a peer or a floor (CHECK=1: fail when a figure misses its target; QUICK=1: without ten minutes of busy loops)' \
	  'make faults   play a table of faults on a lab of four hosts; the report goes to docs/fault-report.md (QUICK=1: a part, in five minutes)' \
	  'make soak     repeat the stories for hours; figures go to docs/soak.md' \
	  'make soak-sim SECONDS=600   play seeds of the simulation that were not played before' \
	  'make promises break each promise of docs/promises.md in a copy, and see that a test notices' \
	  'make fuzz SECONDS=5   run every fuzzer under libFuzzer (clang) for so long; finds go to build-fuzz/corpus' \
	  'make fuzz-keep   take what adds coverage from there into tests/fuzz' \
	  'make lint     format, static analysis, include arrows, file sizes, banned functions' \
	  'make clean    remove the build folders'

deps:
	@tools/install-deps

build: deps
	@test -f $(BUILD)/build.ninja || meson setup $(BUILD) --buildtype=release -Db_ndebug=false >/dev/null
	@ninja -C $(BUILD) $(NINJA_FLAGS)

build-test: deps
	@test -f build-test/build.ninja || meson setup build-test --buildtype=debugoptimized -Db_sanitize=address,undefined >/dev/null
	@ninja -C build-test $(NINJA_FLAGS)

demo: build
	@tools/demo $(BUILD) $(LAB_DIR)

down:
	@if [ -x $(BUILD)/src/lab/muster-lab ]; then $(BUILD)/src/lab/muster-lab down --dir $(LAB_DIR)-second >/dev/null 2>&1; $(BUILD)/src/lab/muster-lab down --dir $(LAB_DIR); else echo 'nothing is built, so no lab is up'; fi

test: build-test build
	@tools/install-deps conform || echo 'Not every client of tests/conform is here; the tests of those that are not skip.'
	@tools/run-tests build-test --no-suite long

test-hosts: build-test build
	@MUSTER_TEST_PROCESSES=2 tools/run-tests build-test --suite long

stories: build
	@tools/run-stories $(BUILD)

story: build
	@tools/play $(BUILD) $(NAME)

bench: build
	@tools/install-deps bench
	@bench/run $(if $(CHECK),--check) $(BUILD)

faults: build
	@tools/fault-report $(BUILD) $(if $(QUICK),--quick)

soak: build
	@tools/soak $(BUILD)

soak-sim: build
	@SECONDS_TO_PLAY=$(or $(SECONDS),600) tools/soak-sim $(BUILD)

promises: deps
	@tools/break-promises

fuzz-build: deps
	@test -f build-fuzz/build.ninja || CC=clang meson setup build-fuzz -Dfuzz=true -Db_lundef=false --buildtype=debugoptimized -Db_sanitize=address,undefined >/dev/null
	@nice -n 15 ninja -C build-fuzz $(NINJA_FLAGS)

fuzz: fuzz-build
	@SECONDS_EACH=$(or $(SECONDS),5) tools/fuzz build-fuzz

fuzz-keep: fuzz-build
	@tools/fuzz --keep build-fuzz

lint: deps
	@tools/lint

clean:
	rm -rf build build-test build-fuzz
