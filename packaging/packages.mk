# Packages of a release, included by the Makefile: the same bytes from the same source
# and compiler.

PACKAGES := $(BUILD_DIR)/packages
SOURCE_DATE_EPOCH ?= $(or $(shell git log -1 --format=%ct 2>/dev/null),0)
TRIPLE := $(or $(TARGET),$(shell rustc --version --verbose | sed -n 's/^host: //p'))
PACKAGE := anjay-net-$(VERSION)-$(TRIPLE)$(if $(filter 1,$(SMALL)),-small)$(if \
    $(filter 1,$(AVS_COMMONS_4)),-avs-commons-4)$(addprefix -,$(FEATURES))
TAR := tar --sort=name --mtime=@$(SOURCE_DATE_EPOCH) --owner=0 --group=0 --numeric-owner

dist:
	rm -rf '$(PACKAGES)/$(PACKAGE)'
	$(MAKE) --no-print-directory install PREFIX= DESTDIR='$(abspath $(PACKAGES)/$(PACKAGE))'
	$(TAR) --directory '$(PACKAGES)' --create '$(PACKAGE)' | \
	    gzip --best --no-name > '$(PACKAGES)/$(PACKAGE).tar.gz'
	cp '$(PACKAGES)/$(PACKAGE)/share/doc/anjay-net/libanjay_net.cdx.json' '$(PACKAGES)/$(PACKAGE).cdx.json'
	rm -r '$(PACKAGES)/$(PACKAGE)'
	cd '$(PACKAGES)' && sha256sum *.tar.gz *.cdx.json > SHA256SUMS

# The source package has what git knows; dpkg-buildpackage and debhelper build it.
DEB_SOURCE := $(PACKAGES)/anjay-net-$(VERSION)
deb:
	rm -rf '$(DEB_SOURCE)'
	mkdir -p '$(DEB_SOURCE)'
	git ls-files -z | $(TAR) --null --files-from=- --create | $(TAR) --directory '$(DEB_SOURCE)' --extract
	$(TAR) --directory '$(PACKAGES)' --create 'anjay-net-$(VERSION)' | \
	    xz > '$(PACKAGES)/anjay-net_$(VERSION).orig.tar.xz'
	cp -r packaging/debian '$(DEB_SOURCE)/debian'
	cd '$(DEB_SOURCE)' && dpkg-buildpackage --no-sign --no-check-builddeps --diff-ignore
	rm -r '$(DEB_SOURCE)'

# The packages as a user has them: what lintian says, a program that is linked, the tool.
DEB_ROOT := $(abspath $(PACKAGES)/root)
MULTIARCH = $(shell dpkg-architecture --query DEB_HOST_MULTIARCH)
debcheck:
	lintian --fail-on error '$(PACKAGES)'/anjay-net_$(VERSION)-*.changes
	rm -rf '$(DEB_ROOT)'
	for package in '$(PACKAGES)'/*anjay-net*_$(VERSION)-*.deb; do \
	    dpkg-deb --extract "$$package" '$(DEB_ROOT)' || exit; done
	$(MAKE) --no-print-directory installcheck PREFIX='$(DEB_ROOT)/usr' \
	    LIBDIR='$(DEB_ROOT)/usr/lib/$(MULTIARCH)'
	'$(DEB_ROOT)/usr/bin/anjay-net' --version
	rm -r '$(DEB_ROOT)'
