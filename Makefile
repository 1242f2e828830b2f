# A short front for CMake and ctest; `make help` lists what it can do.  Everything it does is also
# plain CMake: cmake -B build && cmake --build build.

SAN    ?=
T      ?=
K      ?= *
TIME   ?= 60
P      ?= What is the capital of France?
# Without the hint so small a model, at its most likely words, muses about France in French.
S      ?= Answer in English.
ARGS   ?=
MODEL  ?=
PREFIX ?= /usr/local
SETUP  ?= tools/setup
export K P S T

# gcc if it is there; sanitizers by clang, which finds more.  A compiler asked for by CC gets build
# folders of its own, so that switching back and forth builds nothing twice.
ifeq ($(origin CC),default)
  CC :=
endif
# Looked up when used: set-up may have installed it in the meantime.
GCC     = $(or $(CC),$(shell command -v gcc),clang)
CLANG   = $(or $(CC),$(shell command -v clang),gcc)
SUFFIX := $(if $(CC),-$(notdir $(firstword $(CC))))
comma  := ,
BUILD  := build$(SUFFIX)
BENCH  := build-bench$(SUFFIX)
CHECK  := build-check$(if $(SAN),-$(subst $(comma),-,$(SAN)))$(SUFFIX)
FUZZ   := build-fuzz

# Ninja if it is there; a folder that exists keeps the generator it has.
export CMAKE_GENERATOR ?= $(if $(shell command -v ninja),Ninja,Unix Makefiles)
JOBS := $(shell nproc 2>/dev/null || echo 2)
unexport MAKEFLAGS MAKEOVERRIDES
build_in = env -u MAKELEVEL cmake --build $(1) --parallel $(JOBS)
.NOTPARALLEL:
.PHONY: build run check check-real check-oom bench fuzz golden format install clean help \
        setup setup-model setup-check

build: setup $(BUILD)/.configured
	@$(call build_in,$(BUILD))

help:
	@echo "make                   build the library and the command: build/tandem"
	@echo "make run               the 60-second start: set up, build, fetch a 98 MB model, ask it"
	@echo "      P='...'          another question         ARGS='...'  more options of tandem run"
	@echo "      S='...'          another system prompt"
	@echo "      MODEL=m.gguf     another model"
	@echo "make check             build the tests, warnings being errors, and run them"
	@echo "      SAN=address,undefined or SAN=thread       under sanitizers"
	@echo "      T=gguf           only the programs whose name matches"
	@echo "make check-real        the tests on real models (350 MB, fetched once)"
	@echo "make check-oom         the tests that make allocations fail"
	@echo "make bench K='gemv*'   time the kernels"
	@echo "make fuzz T=gguf       fuzz one parser with libFuzzer for TIME=60 seconds"
	@echo "make golden            write the data of tests/golden again (network, Python packages)"
	@echo "make format            lay out the sources with clang-format"
	@echo "make install           PREFIX=/usr/local DESTDIR="
	@echo "make clean             delete the build folders"
	@echo "CC=clang works with all of them; SETUP=true leaves the system's packages alone."

# ---- set-up: no work and no network when nothing is missing ----
setup:
	@$(SETUP) build
setup-model:
	@$(SETUP) build model
setup-check:
	@$(SETUP) build model check

# ---- build folders: one preset each ----
$(BUILD)/.configured: CMakePresets.json | setup
	@CC="$(GCC)" cmake --preset release -B $(BUILD)
	@touch $@
$(BENCH)/.configured: CMakePresets.json | setup-check
	@CC="$(GCC)" cmake --preset bench -B $(BENCH)
	@touch $@
$(CHECK)/.configured: CMakePresets.json | setup-check
	@CC="$(if $(SAN),$(CLANG),$(GCC))" cmake --preset check -B $(CHECK) -DTD_SANITIZE=$(SAN)
	@touch $@
$(FUZZ)/.configured: CMakePresets.json | setup-check
	@cmake --preset fuzz
	@touch $@

# ---- use ----
run: setup-model build
	@model="$(MODEL)" && { test -n "$$model" || model=$$(tools/fetch-model smollm2); } && \
	    exec $(BUILD)/tandem run "$$model" --system "$$S" --temp 0 -n 256 -p "$$P" $(ARGS)

install: build
	@cmake --install $(BUILD) --prefix "$(PREFIX)"

# ---- tests ----
check: setup-check $(CHECK)/.configured
	@$(call build_in,$(CHECK))
	@tools/run-tests $(CHECK) --match "$$T"

check-real: setup-check $(CHECK)/.configured
	@$(call build_in,$(CHECK))
	@tools/run-tests $(CHECK) --label real --models --jobs 1 --match "$$T"

check-oom: setup-check $(CHECK)/.configured
	@$(call build_in,$(CHECK))
	@tools/run-tests $(CHECK) --label oom --match "$$T"

bench: setup-check $(BENCH)/.configured
	@$(call build_in,$(BENCH)) --target td-check
	@$(BENCH)/tests/td-check --bench "$$K"

fuzz: setup-check $(FUZZ)/.configured
	@test -f tests/fuzz/fuzz_$(T).c || { echo "make fuzz T=parser, one of:" \
	    $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)) >&2; exit 2; }
	@$(call build_in,$(FUZZ)) --target fuzz_$(T)
	@mkdir -p $(FUZZ)/corpus-$(T) tests/fuzz/corpus/$(T)
	@ASAN_OPTIONS=allocator_may_return_null=1 $(FUZZ)/tests/fuzz_$(T) -max_total_time=$(TIME) \
	    -max_len=65536 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
	    -artifact_prefix=$(FUZZ)/ $(addprefix -dict=,$(wildcard tests/fuzz/$(T).dict)) \
	    $(FUZZ)/corpus-$(T) tests/fuzz/corpus/$(T)

golden: setup-check
	@tools/make-golden

# ---- the tree ----
format: setup-check
	@find include src tests -name '*.[ch]' -print0 | xargs -0 clang-format -i

clean:
	@rm -rf build build-*
