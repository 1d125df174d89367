# The CMake package of anjay-net: find_package(anjay_net) gives the target
# anjay_net::anjay_net.

if(TARGET anjay_net::anjay_net)
    return()
endif()

# Where things are, relative to this file, so that the installation may be
# moved. `make install` writes its own directories here; these are cargo-c's.
set(_anjay_net_libdirs "../../../lib/${CMAKE_LIBRARY_ARCHITECTURE}" "../../../lib64" "../../../lib")
set(_anjay_net_includedir "../../../include")
# Whether the archive is for avs_commons 4.1 to 5.0 (Anjay 2.4 to 3.0).
set(anjay_net_AVS_COMMONS_4 OFF)

foreach(_anjay_net_libdir IN LISTS _anjay_net_libdirs)
    get_filename_component(_anjay_net_archive
        "${CMAKE_CURRENT_LIST_DIR}/${_anjay_net_libdir}/libanjay_net.a" ABSOLUTE)
    if(EXISTS "${_anjay_net_archive}")
        break()
    endif()
endforeach()
get_filename_component(anjay_net_INCLUDE_DIR
    "${CMAKE_CURRENT_LIST_DIR}/${_anjay_net_includedir}" ABSOLUTE)
foreach(_anjay_net_file "${_anjay_net_archive}" "${anjay_net_INCLUDE_DIR}/anjay_net.h")
    if(NOT EXISTS "${_anjay_net_file}")
        set(anjay_net_FOUND FALSE)
        set(anjay_net_NOT_FOUND_MESSAGE "${_anjay_net_file} is missing: install anjay-net again")
        return()
    endif()
endforeach()

# Known when find_package(anjay) came first.
if(ANJAY_VERSION MATCHES "^[0-9]+\\.[0-9]+")
    if(ANJAY_VERSION VERSION_LESS 3.1 AND NOT anjay_net_AVS_COMMONS_4)
        message(FATAL_ERROR "anjay-net: this libanjay_net.a is for avs_commons 5.1 and newer, but the "
            "program has Anjay ${ANJAY_VERSION}. Install it with `make install AVS_COMMONS_4=1`.")
    elseif(ANJAY_VERSION VERSION_GREATER_EQUAL 3.1 AND anjay_net_AVS_COMMONS_4)
        message(FATAL_ERROR "anjay-net: this libanjay_net.a is for avs_commons 4.1 to 5.0, but the "
            "program has Anjay ${ANJAY_VERSION}. Install it without AVS_COMMONS_4=1.")
    endif()
endif()

include(CMakeFindDependencyMacro)
find_dependency(Threads)

add_library(anjay_net::anjay_net STATIC IMPORTED)
# The archive is taken in even where something else defines its symbols, which
# the linker then reports; and it may come before those that need it.
set_target_properties(anjay_net::anjay_net PROPERTIES
    IMPORTED_LOCATION "${_anjay_net_archive}"
    IMPORTED_LINK_INTERFACE_LANGUAGES C
    INTERFACE_INCLUDE_DIRECTORIES "${anjay_net_INCLUDE_DIR}"
    INTERFACE_LINK_LIBRARIES "Threads::Threads;${CMAKE_DL_LIBS};m"
    INTERFACE_LINK_OPTIONS "LINKER:--undefined=anjay_net_version")
if(anjay_net_AVS_COMMONS_4)
    set_target_properties(anjay_net::anjay_net PROPERTIES
        INTERFACE_COMPILE_DEFINITIONS ANJAY_NET_AVS_COMMONS_4)
endif()
