# Builds and installs libanjay_net.a for C programs; see docs/linking.md.
#
#   make                                build the archive of a release
#   make install PREFIX=/opt/anjay-net  needs no cargo after `make`
#   make uninstall PREFIX=/opt/anjay-net
#   make installcheck PREFIX=/opt/anjay-net    links a C program with it and runs that
#   make install-tools                  the command line tool anjay-net
#   make dist                           target/packages/*.tar.gz, and checksums
#   make deb                            target/packages/*.deb and their source
#
# The Rust side is cargo's: `cargo check-all` runs every test.

PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR ?= $(PREFIX)/bin
DATADIR ?= $(PREFIX)/share
DOCDIR ?= $(DATADIR)/doc/anjay-net
DESTDIR ?=

CARGO ?= cargo
# Further words for cargo, such as --offline.
CARGOFLAGS ?= --locked
# A target of rustc's, such as aarch64-unknown-linux-gnu; empty is this machine.
TARGET ?=
# 1 for avs_commons 4.1 to 5.0 (Anjay 2.4 to 3.0).
AVS_COMMONS_4 ?= 0
# 1 for small devices: rebuilds Rust's standard library for size; see docs/size.md.
SMALL ?= 0
# Of crates/ffi: without-log-lines, without-captures; commas between several.
FEATURES ?=
BUILD_DIR ?= target
# Before a cross compiler's tools, such as aarch64-linux-gnu-.
CROSS_COMPILE ?=
OBJCOPY ?= $(CROSS_COMPILE)objcopy
READELF ?= $(CROSS_COMPILE)readelf
INSTALL ?= install

VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
HEADERS := $(wildcard include/*.h)
SOURCES := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml)

CARGO_BUILD_DIR := $(BUILD_DIR)$(if $(filter 1,$(SMALL)),/small)
ifeq ($(AVS_COMMONS_4),1)
  CARGO_BUILD_DIR := $(CARGO_BUILD_DIR)/avs-commons-4
  FORM_FLAGS := --features avs-commons-4
  FORM_CFLAGS := -DANJAY_NET_AVS_COMMONS_4
  FORM_CMAKE := ON
else
  FORM_FLAGS :=
  FORM_CFLAGS :=
  FORM_CMAKE := OFF
endif
CARGO_BUILD_DIR := $(CARGO_BUILD_DIR)$(addprefix /,$(FEATURES))
CARGO_ARCHIVE := $(CARGO_BUILD_DIR)/$(if $(TARGET),$(TARGET)/)dist/libanjay_net.a
STAGE := $(CARGO_BUILD_DIR)/$(if $(TARGET),$(TARGET)/)install
ARCHIVE := $(STAGE)/libanjay_net.a
NOTICES := libanjay_net.txt libanjay_net.cdx.json

# From one directory of the installation to another.
relative = $(shell realpath --no-symlinks --canonicalize-missing --relative-to='$(1)' '$(2)')
PKGCONFIGDIR := $(LIBDIR)/pkgconfig
CMAKEDIR := $(LIBDIR)/cmake/anjay_net

.PHONY: all version install uninstall installcheck tools install-tools dist deb debcheck clean
all: $(ARCHIVE) $(addprefix $(STAGE)/,$(NOTICES))

# What Rust's standard library leaves global would collide with the same
# symbols of another Rust archive in the program. But compiler_builtins is many
# objects that call each other, also for mathematics that C programs want.
# Debug information is the standard library's only; its bitcode is that of rustc's
# LLVM, on which another one's link-time optimisation chokes. On 32-bit Arm
# compiler_builtins refers to the personality, which can't be local then: a weak one
# does not collide either.
PERSONALITY := $(if $(filter arm% thumb%,$(or $(TARGET),$(shell $(CC) -dumpmachine))),weaken,localize)
$(ARCHIVE): $(CARGO_ARCHIVE) Makefile
	mkdir -p $(STAGE)
	$(OBJCOPY) --strip-debug --wildcard --localize-symbol='_R*' --localize-symbol='_ZN*' \
	    --localize-symbol='!_R*17compiler_builtins*' \
	    --localize-symbol='!_ZN17compiler_builtins*' \
	    --$(PERSONALITY)-symbol=rust_eh_personality \
	    --remove-section=.llvmbc --remove-section=.llvmcmd $< $@

# Notices name the compiler that the archive or the program is from: it names itself
# there.
define write_notice
mkdir -p $(@D)
rust=$$($(READELF) --string-dump=.comment $(1) 2>/dev/null | \
    sed -n '/rustc version/ { s/.*rustc version \([^ ]*\).*/\1/; p; q; }') && \
sed "s|@RUST@|$$rust|" $< > $@
endef
$(addprefix $(STAGE)/,$(NOTICES)): $(STAGE)/%: packaging/notices/% $(CARGO_ARCHIVE)
	$(call write_notice,$(CARGO_ARCHIVE))

# No path of the builder in the archive, so that everyone builds the same one. A
# RUSTFLAGS of the environment takes the place of any configuration of cargo's; else
# the flags are added to that.
CARGO_HOME ?= $(HOME)/.cargo
REMAP := --remap-path-prefix=$(CURDIR)=/anjay-net --remap-path-prefix=$(CARGO_HOME)=/cargo
ifneq ($(SMALL),1)
  # With frame pointers the tables for unwinding are smaller by more than the code is
  # larger. The threshold lets LLVM inline what takes about as much room as a call.
  CODEGEN := -Cforce-frame-pointers=yes -Cllvm-args=-inline-threshold=22
endif
ifdef RUSTFLAGS
  export RUSTFLAGS := $(RUSTFLAGS) $(REMAP) $(CODEGEN)
else ifneq ($(SMALL),1)
  empty :=
  space := $(empty) $(empty)
  comma := ,
  flags = --config 'target."cfg(all())".rustflags=["$(subst $(space),"$(comma)",$(strip $(1)))"]'
endif

CARGO_RUSTC = $(CARGO) rustc $(CARGOFLAGS) $(call flags,$(REMAP) $(CODEGEN)) --profile dist --package anjay-net --lib \
	    --crate-type staticlib --target-dir $(CARGO_BUILD_DIR) $(FORM_FLAGS) \
	    $(addprefix --features ,$(FEATURES))

ifeq ($(SMALL),1)
# A panic ends the process at once, without a message: no code to unwind, to print
# backtraces or the place of a panic. Cargo takes the unstable options also from a
# stable compiler when RUSTC_BOOTSTRAP is set.
# LLVM inlines what takes about as much room as a call, and keeps fewer values in
# registers that it would then have to save and restore: it computes nothing earlier for
# the sake of speed, and moves less out of loops. It makes fewer jump tables.
SMALL_RUSTFLAGS = $(REMAP) --remap-path-prefix=$$sysroot/lib/rustlib/src/rust=/rust \
    $(addprefix -Cllvm-args=-,inline-threshold=8 enable-pre=false disable-machine-licm \
    disable-lsr instcombine-code-sinking=false split-spill-mode=size \
    min-jump-table-entries=10) -Zunstable-options \
    -Cpanic=immediate-abort -Cforce-unwind-tables=no -Zlocation-detail=none -Zfmt-debug=none

$(CARGO_ARCHIVE): $(SOURCES) packaging/rustc-with-source.sh Makefile
	rustc=$$(packaging/rustc-with-source.sh '$(BUILD_DIR)/small-toolchain' '$(RUSTC)') && \
	sysroot=$$($$rustc --print sysroot) && \
	target=$(or $(TARGET),$$($$rustc --version --verbose | sed -n 's/^host: //p')) && \
	RUSTC=$$rustc RUSTC_BOOTSTRAP=1 RUSTFLAGS="$(SMALL_RUSTFLAGS) $$RUSTFLAGS" \
	$(CARGO_RUSTC) --target $$target --config 'profile.dist.package.anjay-net.opt-level="z"' \
	    -Zbuild-std=std -Zbuild-std-features=optimize_for_size && \
	mkdir -p $(@D) && cp $(CARGO_BUILD_DIR)/$$target/dist/libanjay_net.a $@.new && mv $@.new $@
else
$(CARGO_ARCHIVE): $(SOURCES)
	$(CARGO_RUSTC) $(if $(TARGET),--target $(TARGET))
	touch $@
endif

install: all
	$(INSTALL) -d '$(DESTDIR)$(INCLUDEDIR)' '$(DESTDIR)$(PKGCONFIGDIR)' '$(DESTDIR)$(CMAKEDIR)' \
	    '$(DESTDIR)$(DOCDIR)'
	$(INSTALL) -m 644 LICENSE-MIT LICENSE-APACHE $(addprefix $(STAGE)/,$(NOTICES)) \
	    '$(DESTDIR)$(DOCDIR)'
	$(INSTALL) -m 644 $(ARCHIVE) '$(DESTDIR)$(LIBDIR)/libanjay_net.a'
	$(INSTALL) -m 644 $(HEADERS) '$(DESTDIR)$(INCLUDEDIR)'
	sed -e 's|@VERSION@|$(VERSION)|' \
	    -e 's|@LIBDIR@|$(call relative,$(PKGCONFIGDIR),$(LIBDIR))|' \
	    -e 's|@INCLUDEDIR@|$(call relative,$(PKGCONFIGDIR),$(INCLUDEDIR))|' \
	    -e 's|@CFLAGS@|$(FORM_CFLAGS)|' \
	    packaging/anjay_net.pc.in > '$(DESTDIR)$(PKGCONFIGDIR)/anjay_net.pc'
	sed -e 's|^set(_anjay_net_libdirs .*|set(_anjay_net_libdirs "$(call relative,$(CMAKEDIR),$(LIBDIR))")|' \
	    -e 's|^set(_anjay_net_includedir .*|set(_anjay_net_includedir "$(call relative,$(CMAKEDIR),$(INCLUDEDIR))")|' \
	    -e 's|^set(anjay_net_AVS_COMMONS_4 .*|set(anjay_net_AVS_COMMONS_4 $(FORM_CMAKE))|' \
	    packaging/anjay_net-config.cmake > '$(DESTDIR)$(CMAKEDIR)/anjay_net-config.cmake'
	$(INSTALL) -m 644 packaging/anjay_net-config-version.cmake '$(DESTDIR)$(CMAKEDIR)'
	chmod 644 '$(DESTDIR)$(PKGCONFIGDIR)/anjay_net.pc' '$(DESTDIR)$(CMAKEDIR)/anjay_net-config.cmake'

uninstall:
	rm -f '$(DESTDIR)$(LIBDIR)/libanjay_net.a' \
	    $(foreach header,$(notdir $(HEADERS)),'$(DESTDIR)$(INCLUDEDIR)/$(header)') \
	    '$(DESTDIR)$(PKGCONFIGDIR)/anjay_net.pc'
	rm -rf '$(DESTDIR)$(CMAKEDIR)' '$(DESTDIR)$(DOCDIR)'
	rm -f '$(DESTDIR)$(BINDIR)/anjay-net' '$(DESTDIR)$(DATADIR)/man/man1'/anjay-net*.1 \
	    '$(DESTDIR)$(DATADIR)/bash-completion/completions/anjay-net' \
	    '$(DESTDIR)$(DATADIR)/fish/vendor_completions.d/anjay-net.fish' \
	    '$(DESTDIR)$(DATADIR)/zsh/vendor-completions/_anjay-net'

# RUN starts a program of another processor, such as qemu-aarch64.
RUN ?=
installcheck:
	mkdir -p $(BUILD_DIR)
	$(if $(CROSS_COMPILE),$(CROSS_COMPILE)gcc,$(CC)) tests/suite/c/install/consumer.c -o $(BUILD_DIR)/installcheck \
	    $$(PKG_CONFIG_PATH='$(DESTDIR)$(PKGCONFIGDIR)' pkg-config --cflags --libs anjay_net)
	test "$$($(RUN) $(BUILD_DIR)/installcheck)" = 'anjay-net $(VERSION)'

TOOL := $(BUILD_DIR)/$(if $(TARGET),$(TARGET)/)release/anjay-net
tools: $(TOOL) $(TOOL_NOTICES)
$(TOOL): $(SOURCES) $(shell find tools -name '*.rs' -o -name Cargo.toml)
	$(CARGO) build $(CARGOFLAGS) $(call flags,$(REMAP)) --release --package anjay-net-cli \
	    --target-dir $(BUILD_DIR) $(if $(TARGET),--target $(TARGET))
	touch $@

TOOL_NOTICES := $(addprefix $(TOOL)-notices/,anjay-net.txt anjay-net.cdx.json)
$(TOOL_NOTICES): $(TOOL)-notices/%: packaging/notices/% $(TOOL)
	$(call write_notice,$(TOOL))

install-tools: $(TOOL) $(TOOL_NOTICES)
	$(INSTALL) -D -m 644 -t '$(DESTDIR)$(DOCDIR)' LICENSE-MIT LICENSE-APACHE $(TOOL_NOTICES)
	$(INSTALL) -D -m 755 -t '$(DESTDIR)$(BINDIR)' $(TOOL)
	$(INSTALL) -D -m 644 -t '$(DESTDIR)$(DATADIR)/man/man1' tools/anjay-net/man/*.1
	$(INSTALL) -D -m 644 -t '$(DESTDIR)$(DATADIR)/bash-completion/completions' \
	    tools/anjay-net/completions/anjay-net
	$(INSTALL) -D -m 644 -t '$(DESTDIR)$(DATADIR)/fish/vendor_completions.d' \
	    tools/anjay-net/completions/anjay-net.fish
	$(INSTALL) -D -m 644 -t '$(DESTDIR)$(DATADIR)/zsh/vendor-completions' \
	    tools/anjay-net/completions/_anjay-net

include packaging/packages.mk

version:
	@echo $(VERSION)

clean:
	$(CARGO) clean --target-dir $(BUILD_DIR)
