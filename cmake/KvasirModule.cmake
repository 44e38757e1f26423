# kvasir_module(NAME [COLD] [UNITY] [UNITY_TESTS] [DEPS room...] [LIBS library...] [TEST_DEPS room...] [TEST_LIBS library...])
#
# Declares the room src/NAME. Adding a file needs no edit anywhere, its name says what it becomes:
#   foo.cc        part of the library kvasir_NAME
#   foo_test.cc   part of the test program kvasir_NAME_test (GoogleTest, RapidCheck), ctest label "unit"
#   foo_bench.cc  part of kvasir_NAME_bench (Google Benchmark), built with KVASIR_BUILD_BENCHMARKS=ON
#   foo_main.cc   the program foo, put into bin/ of the build tree and installed
# DEPS are other rooms, LIBS are packages; TEST_DEPS and TEST_LIBS are seen by tests and benchmarks only.
# A room without a .cc of its own is an interface library.
#
# COLD rooms hold no code in which time is spent when it runs. They and the tests are two thirds of what there is to
# compile: where nothing is shipped (presets dev, asan, tsan, fuzz) they are optimised less, which takes a quarter less.
#
# UNITY rooms (UNITY_TESTS: tests) may be compiled eight files at a time: headers take about four seconds of each file.
# Presets that are built from nothing more often than changed do so (KVASIR_UNITY). The price is
# that a name in an anonymous namespace must be unique within the room.
include(GNUInstallDirs)
find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
if(KVASIR_BUILD_TESTS)
  find_package(GTest REQUIRED)
  find_package(rapidcheck REQUIRED)
endif()
if(KVASIR_BUILD_BENCHMARKS)
  find_package(benchmark REQUIRED)
endif()

# The flags of each instruction-set folder of src/kernels. Contraction of a*b+c into one rounding is
# off everywhere, so that a result changes only where the source says std::fma or _mm*_fmadd.
set(KVASIR_ISA_ref -ffp-contract=off)
set(KVASIR_ISA_avx2 ${KVASIR_ISA_ref} -mavx2 -mfma -mf16c -mbmi2)
set(KVASIR_ISA_avx512 ${KVASIR_ISA_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl)
set(KVASIR_ISA_vnni ${KVASIR_ISA_avx512} -mavx512vnni)

# kvasir_isa_sources(LIST): gives every file of the list that lies in a folder ref/, avx2/, avx512/ or
# vnni/ the flags of that instruction set, and drops the x86 folders from the list on other CPUs.
# Tests and benchmarks there are built without them: a program must start on any CPU in order to skip.
function(kvasir_isa_sources list)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(FILTER ${list} EXCLUDE REGEX "/(avx2|avx512|vnni)/[^/]*$")
    set(${list} ${${list}} PARENT_SCOPE)
  endif()
  foreach(file IN LISTS ${list})
    if(file MATCHES "/(ref|avx2|avx512|vnni)/[^/]*$")
      set_source_files_properties(${file} PROPERTIES COMPILE_OPTIONS "${KVASIR_ISA_${CMAKE_MATCH_1}}")
    endif()
  endforeach()
endfunction()

set(KVASIR_COLD_FLAGS $<$<CONFIG:RelWithDebInfo>:-O1>)

function(kvasir_module name)
  cmake_parse_arguments(ARG "COLD;UNITY;UNITY_TESTS" "" "DEPS;LIBS;TEST_DEPS;TEST_LIBS" ${ARGN})
  if(ARG_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "kvasir_module(${name}): unknown arguments ${ARG_UNPARSED_ARGUMENTS}; write DEPS or LIBS first")
  endif()
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  set(tests ${sources})
  set(benches ${sources})
  set(mains ${sources})
  list(FILTER sources EXCLUDE REGEX "_(test|bench|main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  list(FILTER mains INCLUDE REGEX "_main\\.cc$")
  kvasir_isa_sources(sources)

  list(TRANSFORM ARG_DEPS PREPEND kvasir_)
  list(TRANSFORM ARG_TEST_DEPS PREPEND kvasir_)
  set(scope PUBLIC)
  if(sources)
    add_library(kvasir_${name} STATIC ${sources})
    target_link_libraries(kvasir_${name} PRIVATE kvasir_flags)
    if(ARG_UNITY AND KVASIR_UNITY)
      set_target_properties(kvasir_${name} PROPERTIES UNITY_BUILD ON)
    endif()
    if(ARG_COLD)
      target_compile_options(kvasir_${name} PRIVATE ${KVASIR_COLD_FLAGS})
    endif()
    set_property(GLOBAL APPEND PROPERTY KVASIR_ROOMS ${name})
    foreach(lib IN LISTS ARG_LIBS)
      if(lib MATCHES "^PkgConfig::")  # known in this folder only, and unknown to whoever uses the installed library
        get_target_property(file ${lib} INTERFACE_LINK_LIBRARIES)
        string(REGEX REPLACE "^.*/lib([^/]+)\\.(so|a)$" "\\1" lib "${file}")
      endif()
      set_property(GLOBAL APPEND PROPERTY KVASIR_LIBS ${lib})
    endforeach()
  else()
    set(scope INTERFACE)
    add_library(kvasir_${name} INTERFACE)
  endif()
  target_include_directories(kvasir_${name} ${scope} ${CMAKE_SOURCE_DIR}/include ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(kvasir_${name} ${scope} ${ARG_DEPS} ${ARG_LIBS} Threads::Threads)

  foreach(main IN LISTS mains)
    cmake_path(GET main STEM program)
    string(REGEX REPLACE "_main$" "" program ${program})
    add_executable(${program} ${main})
    target_link_libraries(${program} PRIVATE kvasir_flags kvasir_${name})
    target_compile_definitions(${program} PRIVATE KVASIR_VERSION="${PROJECT_VERSION}")
    set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
    install(TARGETS ${program} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  endforeach()
  if(KVASIR_BUILD_TESTS AND tests)
    add_executable(kvasir_${name}_test ${tests})
    target_link_libraries(kvasir_${name}_test PRIVATE kvasir_flags kvasir_${name} ${ARG_TEST_DEPS} ${ARG_TEST_LIBS}
      rapidcheck GTest::gmock GTest::gtest_main)
    target_compile_options(kvasir_${name}_test PRIVATE ${KVASIR_COLD_FLAGS})
    if(ARG_UNITY_TESTS AND KVASIR_UNITY)
      set_target_properties(kvasir_${name}_test PROPERTIES UNITY_BUILD ON)
    endif()
    target_compile_definitions(kvasir_${name}_test PRIVATE
      KVASIR_SOURCE_DIR="${CMAKE_SOURCE_DIR}" KVASIR_SHARED_DATA="${CMAKE_SOURCE_DIR}/../shared/data")
    add_test(NAME ${name} COMMAND kvasir_${name}_test)
    math(EXPR timeout "600 * ${KVASIR_TEST_SLOWNESS}")
    set_tests_properties(${name} PROPERTIES LABELS unit TIMEOUT ${timeout})
  endif()
  if(KVASIR_BUILD_BENCHMARKS AND benches)
    add_executable(kvasir_${name}_bench ${benches})
    target_link_libraries(kvasir_${name}_bench PRIVATE kvasir_flags kvasir_${name} ${ARG_TEST_DEPS} ${ARG_TEST_LIBS}
      benchmark::benchmark_main)
    set_target_properties(kvasir_${name}_bench PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bench)
  endif()
endfunction()
