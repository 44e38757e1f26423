# Everything ctest runs besides the rooms' unit tests. Labels: unit, checks, python, install.
# A script that ends with 77 says that it could not run and why; ctest counts it as skipped.
function(kvasir_check name label)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  math(EXPR timeout "900 * ${KVASIR_TEST_SLOWNESS}")
  set_tests_properties(${name} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77 TIMEOUT ${timeout})
endfunction()

find_program(KVASIR_PYTHON NAMES python3 REQUIRED)
kvasir_check(check.layers checks ${KVASIR_PYTHON} tools/check_layers.py)
kvasir_check(check.sizes checks ${KVASIR_PYTHON} tools/check_sizes.py)
kvasir_check(check.docs checks ${KVASIR_PYTHON} tools/check_docs.py)
kvasir_check(check.api_docs checks ${KVASIR_PYTHON} tools/make_api_docs.py --check)
kvasir_check(check.doxygen checks tools/docs.sh --check)
kvasir_check(check.format checks tools/format.sh --check)
kvasir_check(check.scripts checks tools/check_scripts.sh)
kvasir_check(check.isa_objects checks tools/check_isa_objects.sh ${CMAKE_BINARY_DIR})
kvasir_check(check.quant_fixtures checks tools/with_venv.sh tools/make_quant_fixtures.py --check)
kvasir_check(check.tools checks tools/with_venv.sh -m unittest discover --start-directory tools --pattern "*_test.py")

# Each folder tests/NAME with a test_*.py is one ctest test, python.NAME, run by pytest. Files test_cli_* and test_serve_*
# are tests of their own, python.cli, python.serve and, for what servers bear, python.serve_load: alone, tests/api would take longer
# than all others together.
file(GLOB python_tests CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} ${CMAKE_SOURCE_DIR}/tests/*/test_*.py)
set(python_groups)
foreach(file IN LISTS python_tests)
  if(NOT file MATCHES "^tests/api/test_(cli|serve)_")
    string(REGEX MATCH "^tests/([^/]+)/" folder ${file})
  endif()
  set(group ${CMAKE_MATCH_1})
  if(file MATCHES "test_serve_(access|any_request|breaks|crowds|hostile|http|life|shadow|sharing|tls)")
    set(group serve_load)
  endif()
  list(APPEND python_groups ${group})
  list(APPEND python_files_${group} ${file})
endforeach()
list(REMOVE_DUPLICATES python_groups)
foreach(group IN LISTS python_groups)
  kvasir_check(python.${group} python tools/pytest.sh ${CMAKE_BINARY_DIR} ${python_files_${group}})
endforeach()
# Seconds of CPU, about. ctest begins with the costliest; on a fresh clone it does not know which those are, and a long test
# that begins last runs on alone.
set_tests_properties(python.cli PROPERTIES COST 120)
set_tests_properties(python.serve PROPERTIES COST 100)
set_tests_properties(python.serve_load PROPERTIES COST 90)
set_tests_properties(python.api PROPERTIES COST 100)
set_tests_properties(python.web PROPERTIES COST 60)
set_tests_properties(python.reference PROPERTIES COST 50)
set_tests_properties(check.tools PROPERTIES COST 20)

kvasir_check(install.embed install tools/test_install.sh ${CMAKE_BINARY_DIR} ${CMAKE_CXX_COMPILER})
