# Every header compiles when it is the first thing included.
#
# The problem with checking that by compiling each header alone is that it doubles the build. Most
# headers are checked already: foo.cc or foo_test.cc includes foo.h before anything else (clang-format
# keeps it there). Only a header that no such file opens with gets a one-line translation unit here,
# in the object library kvasir_header_check, which is part of the normal build.
file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/include/*.h ${CMAKE_SOURCE_DIR}/src/*.h)
set(units)
foreach(header IN LISTS headers)
  string(REGEX REPLACE "^${CMAKE_SOURCE_DIR}/(src|include)/" "" include_name ${header})
  string(REGEX REPLACE "\\.h$" "" stem ${header})
  set(opened FALSE)
  foreach(source ${stem}.cc ${stem}_test.cc)
    if(EXISTS ${source})
      file(STRINGS ${source} first LIMIT_COUNT 1 REGEX "^#include")
      if(first STREQUAL "#include \"${include_name}\"")
        set(opened TRUE)
      endif()
    endif()
  endforeach()
  if(NOT opened)
    # The folder is kept in the unit's name, so that headers of src/kernels/<isa>/ get their flags.
    string(REGEX REPLACE "\\.h$" ".cc" unit ${CMAKE_BINARY_DIR}/header_check/${include_name})
    file(CONFIGURE OUTPUT ${unit} CONTENT "#include \"${include_name}\"\n")
    list(APPEND units ${unit})
  endif()
endforeach()
if(units)
  kvasir_isa_sources(units)
  add_library(kvasir_header_check OBJECT ${units})
  target_include_directories(kvasir_header_check PRIVATE ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
  target_compile_options(kvasir_header_check PRIVATE -O0 -g0 -Wno-unused)
  target_link_libraries(kvasir_header_check PRIVATE kvasir_flags fmt::fmt nlohmann_json::nlohmann_json CLI11::CLI11)
endif()
