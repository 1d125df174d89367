# The version of the package. While it is below 1.0, a new minor version may
# break what an older one promised.

set(PACKAGE_VERSION "0.1.0")

if(PACKAGE_FIND_VERSION VERSION_EQUAL PACKAGE_VERSION)
    set(PACKAGE_VERSION_EXACT TRUE)
endif()
string(REGEX MATCH "^[0-9]+\\.[0-9]+" _anjay_net_ours "${PACKAGE_VERSION}")
string(REGEX MATCH "^[0-9]+\\.[0-9]+" _anjay_net_theirs "${PACKAGE_FIND_VERSION}.0")
if(NOT PACKAGE_FIND_VERSION VERSION_GREATER PACKAGE_VERSION AND _anjay_net_theirs STREQUAL _anjay_net_ours)
    set(PACKAGE_VERSION_COMPATIBLE TRUE)
endif()
