# What every target is built with: warnings, sanitizers, ccache, a fast linker, and paths in binaries
# that do not depend on where the checkout lies.
#
# No -march=native anywhere: one binary runs on every x86-64 CPU, and the kernels of src/kernels/ are
# compiled once per instruction set and chosen at start (see kvasir_isa_sources in KvasirModule.cmake).
# No precompiled headers either: for nlohmann/json.hpp, the heaviest one, they save 1.2 of 5.4 seconds per file
# (the rest is instantiation), cost 3.6 seconds and 118 MB per room, and hide missing includes (GCC 12, -O2 -g).

find_program(KVASIR_CCACHE ccache)
if(KVASIR_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${KVASIR_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${KVASIR_CCACHE})
endif()

# mold links the test programs several times faster than GNU ld; lld is the second choice.
include(CheckLinkerFlag)
foreach(linker mold lld)
  if(NOT KVASIR_LINKER_FLAG)
    check_linker_flag(CXX -fuse-ld=${linker} KVASIR_HAVE_${linker})
    if(KVASIR_HAVE_${linker})
      set(KVASIR_LINKER_FLAG -fuse-ld=${linker})
    endif()
  endif()
endforeach()
add_link_options(${KVASIR_LINKER_FLAG})

# The same object for every checkout: ccache hits across clones, and messages name src/... only.
add_compile_options("-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_GENERATOR STREQUAL "Ninja")
  add_compile_options($<$<BOOL:$ENV{CLICOLOR_FORCE}>:-fdiagnostics-color=always>)
endif()

set(KVASIR_TEST_SLOWNESS 1)  # so many times longer may a test take; tests/harness/program.py has that of a single wait
if(KVASIR_SANITIZE)
  set(KVASIR_TEST_SLOWNESS 10)
  add_compile_options(-fsanitize=${KVASIR_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${KVASIR_SANITIZE})
endif()
if(KVASIR_BUILD_FUZZERS)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    message(FATAL_ERROR "KVASIR_BUILD_FUZZERS needs clang for libFuzzer; use the preset: cmake --preset fuzz")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)  # coverage counters in the rooms, main() only in the targets
endif()

add_library(kvasir_flags INTERFACE)
# A designated initialiser that leaves members at their defaults is how options are written here.
target_compile_options(kvasir_flags INTERFACE -Wall -Wextra -Wconversion -Wno-sign-conversion
  -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(kvasir_flags INTERFACE -Wshadow=local -Wno-psabi)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(kvasir_flags INTERFACE -Wno-restrict)  # wrong about std::string at -O2: GCC bug 105651
  endif()
elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # libstdc++'s std::expected is hidden from clang unless concepts are declared complete.
  target_compile_options(kvasir_flags INTERFACE
    -Wno-implicit-int-float-conversion -Wno-builtin-macro-redefined -D__cpp_concepts=202002L)
endif()
if(KVASIR_WERROR)
  target_compile_options(kvasir_flags INTERFACE -Werror)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC 12 finds these by value tracking and is sometimes wrong about libstdc++'s own code at -O2 (GCC bug 105562);
    # they stay visible as warnings.
    target_compile_options(kvasir_flags INTERFACE -Wno-error=maybe-uninitialized
      -Wno-error=stringop-overflow -Wno-error=stringop-overread -Wno-error=array-bounds)
  endif()
endif()
