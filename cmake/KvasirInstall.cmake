# What `cmake --install` leaves behind: one library with all rooms but the server, the command line and what only they need, the public
# headers, the programs (see kvasir_module), and a CMake package:
#
#   find_package(kvasir REQUIRED)
#   target_link_libraries(app PRIVATE kvasir::kvasir)
#
# The tree can be moved: nothing in it holds an absolute path.
include(CMakePackageConfigHelpers)
find_package(tomlplusplus REQUIRED)  # here, too: the library below is made outside of the room that uses it

get_property(rooms GLOBAL PROPERTY KVASIR_ROOMS)
get_property(libs GLOBAL PROPERTY KVASIR_LIBS)
list(REMOVE_ITEM rooms cli server plot)
list(REMOVE_DUPLICATES libs)
list(FILTER libs EXCLUDE REGEX "^(nlohmann_json::|CLI11::|Boost::|OpenSSL::|edit$|cairo$)")  # header-only, or of the programs only

set(objects)
foreach(room IN LISTS rooms)
  list(APPEND objects $<TARGET_OBJECTS:kvasir_${room}>)
endforeach()
add_library(kvasir_library ${objects})
file(GLOB_RECURSE public_headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/kvasir/*.h)
target_sources(kvasir_library PUBLIC FILE_SET HEADERS BASE_DIRS ${CMAKE_SOURCE_DIR}/include FILES ${public_headers})
target_compile_features(kvasir_library PUBLIC cxx_std_23)
target_link_libraries(kvasir_library PRIVATE ${libs} Threads::Threads)
set_target_properties(kvasir_library PROPERTIES OUTPUT_NAME kvasir EXPORT_NAME kvasir LINKER_LANGUAGE CXX
  VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
add_library(kvasir::kvasir ALIAS kvasir_library)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kvasir)
install(TARGETS kvasir_library EXPORT kvasirTargets FILE_SET HEADERS)
install(EXPORT kvasirTargets NAMESPACE kvasir:: DESTINATION ${package_dir})
configure_package_config_file(${CMAKE_SOURCE_DIR}/cmake/kvasirConfig.cmake.in
  ${CMAKE_BINARY_DIR}/kvasirConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/kvasirConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${CMAKE_BINARY_DIR}/kvasirConfig.cmake ${CMAKE_BINARY_DIR}/kvasirConfigVersion.cmake
  DESTINATION ${package_dir})
