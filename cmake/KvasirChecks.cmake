# Everything ctest runs besides the rooms' unit tests. Labels: unit, checks, python, install.
# A script that ends with 77 says that it could not run and why; ctest counts it as skipped.
function(kvasir_check name label)
  add_test(NAME ${name} COMMAND ${ARGN} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS ${label} SKIP_RETURN_CODE 77 TIMEOUT 900)
endfunction()

find_program(KVASIR_PYTHON NAMES python3 REQUIRED)
kvasir_check(check.layers checks ${KVASIR_PYTHON} tools/check_layers.py)
kvasir_check(check.sizes checks ${KVASIR_PYTHON} tools/check_sizes.py)
kvasir_check(check.docs checks ${KVASIR_PYTHON} tools/check_docs.py)
kvasir_check(check.api_docs checks ${KVASIR_PYTHON} tools/make_api_docs.py --check)
kvasir_check(check.format checks tools/format.sh --check)
kvasir_check(check.scripts checks tools/check_scripts.sh)
kvasir_check(check.isa_objects checks tools/check_isa_objects.sh ${CMAKE_BINARY_DIR})
kvasir_check(check.tools checks tools/with_venv.sh -m unittest discover --start-directory tools --pattern "*_test.py")

# Each folder tests/NAME with a test_*.py is one ctest test, python.NAME, run by pytest; those of the server are one of
# their own, python.serve, because together with the command line's they would take longer than all others.
file(GLOB python_tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/*/test_*.py)
set(folders)
foreach(file IN LISTS python_tests)
  cmake_path(GET file PARENT_PATH folder)
  list(APPEND folders ${folder})
endforeach()
list(REMOVE_DUPLICATES folders)
foreach(folder IN LISTS folders)
  cmake_path(GET folder FILENAME name)
  file(GLOB files CONFIGURE_DEPENDS RELATIVE ${CMAKE_SOURCE_DIR} ${folder}/test_*.py)
  set(server_files ${files})
  list(FILTER server_files INCLUDE REGEX "/test_serve_")
  list(FILTER files EXCLUDE REGEX "/test_serve_")
  kvasir_check(python.${name} python tools/pytest.sh ${CMAKE_BINARY_DIR} ${files})
  if(server_files)
    kvasir_check(python.serve python tools/pytest.sh ${CMAKE_BINARY_DIR} ${server_files})
  endif()
endforeach()

kvasir_check(install.embed install tools/test_install.sh ${CMAKE_BINARY_DIR} ${CMAKE_CXX_COMPILER})
