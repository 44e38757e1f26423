# kvasir_module(NAME DEPS room... LIBS library...)
#
# Declares the room src/NAME: a static library kvasir_NAME of every .cc file in the folder, a test
# program kvasir_NAME_test of every *_test.cc, and a benchmark kvasir_NAME_bench of every *_bench.cc.
# DEPS are other rooms, LIBS are packages. Adding a file needs no edit here.
find_package(Threads REQUIRED)
if(KVASIR_BUILD_TESTS)
  find_package(GTest REQUIRED)
endif()
if(KVASIR_BUILD_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()

add_library(kvasir_flags INTERFACE)
target_compile_options(kvasir_flags INTERFACE
  -Wall -Wextra -Wshadow=local -Wconversion -Wno-sign-conversion -Wno-psabi
  $<$<CXX_COMPILER_ID:Clang>:-Wno-implicit-int-float-conversion -Wno-shadow>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++'s std::expected is hidden from clang unless concepts are declared complete.
  target_compile_options(kvasir_flags INTERFACE -D__cpp_concepts=202002L -Wno-builtin-macro-redefined)
endif()
if(KVASIR_SANITIZE)
  target_compile_options(kvasir_flags INTERFACE -fsanitize=${KVASIR_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(kvasir_flags INTERFACE -fsanitize=${KVASIR_SANITIZE})
endif()

function(kvasir_module name)
  cmake_parse_arguments(ARG "" "" "DEPS;LIBS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  set(benches ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|bench|main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")

  list(TRANSFORM ARG_DEPS PREPEND kvasir_ OUTPUT_VARIABLE deps)
  add_library(kvasir_${name} STATIC ${sources})
  target_include_directories(kvasir_${name} PUBLIC
    $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/include> $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>)
  target_link_libraries(kvasir_${name} PRIVATE $<BUILD_INTERFACE:kvasir_flags> PUBLIC ${deps} ${ARG_LIBS} Threads::Threads)

  if(KVASIR_BUILD_TESTS AND tests)
    add_executable(kvasir_${name}_test ${tests})
    target_link_libraries(kvasir_${name}_test PRIVATE kvasir_flags kvasir_${name} GTest::gmock GTest::gtest_main)
    target_compile_definitions(kvasir_${name}_test PRIVATE
      KVASIR_SOURCE_DIR="${CMAKE_SOURCE_DIR}" KVASIR_SHARED_DATA="${CMAKE_SOURCE_DIR}/../shared/data")
    add_test(NAME ${name} COMMAND kvasir_${name}_test)
    set_tests_properties(${name} PROPERTIES LABELS unit)
  endif()
  if(KVASIR_BUILD_BENCHMARKS AND benches)
    add_executable(kvasir_${name}_bench ${benches})
    target_link_libraries(kvasir_${name}_bench PRIVATE kvasir_flags kvasir_${name} benchmark::benchmark_main)
  endif()
endfunction()
