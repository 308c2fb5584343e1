# Tests of the repository itself: its kernels, layers, file sizes, scripts, headers, and the package it installs.
foreach(check kernels layers sizes)
  add_test(NAME repository.${check} COMMAND ${CMAKE_COMMAND} -P cmake/check_${check}.cmake
           WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
endforeach()
add_test(NAME repository.cuda_architectures COMMAND ${CMAKE_COMMAND} -P tests/cuda_architectures.cmake
         WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
add_test(NAME repository.gpu_scripts COMMAND tests/gpu_scripts.sh WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
# Every public header compiles alone, with nothing but its own target's include folders; and all of
# them compile together, in one translation unit.
get_property(libraries GLOBAL PROPERTY FUSOR_LIBRARIES)
foreach(library ${libraries})
  get_target_property(headers ${library} HEADER_SET)
  list(APPEND all_headers ${headers})
endforeach()
list(TRANSFORM all_headers PREPEND "#include \"")
list(TRANSFORM all_headers APPEND "\"\n")
list(JOIN all_headers "" all_headers)
file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/all_headers.cc CONTENT "${all_headers}")
add_library(all_headers OBJECT EXCLUDE_FROM_ALL ${CMAKE_CURRENT_BINARY_DIR}/all_headers.cc)
target_link_libraries(all_headers PRIVATE ${libraries})
add_test(NAME repository.headers
         COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target all_headers all_verify_interface_header_sets)
set_tests_properties(repository.headers PROPERTIES TIMEOUT 600)

# An outside project builds against what cmake --install put into an empty folder.
set(prefix ${CMAKE_CURRENT_BINARY_DIR}/prefix)
if(FUSOR_SANITIZE)
  set(sanitize -DCMAKE_CXX_FLAGS=-fsanitize=${FUSOR_SANITIZE})
endif()
add_test(NAME package.clean COMMAND ${CMAKE_COMMAND} -E rm -rf ${prefix})
add_test(NAME package.install COMMAND ${CMAKE_COMMAND} --install ${PROJECT_BINARY_DIR} --prefix ${prefix})
add_test(NAME package.outside
         COMMAND ${CMAKE_CTEST_COMMAND} --build-and-test ${CMAKE_CURRENT_SOURCE_DIR}/outside ${CMAKE_CURRENT_BINARY_DIR}/outside
         --build-generator ${CMAKE_GENERATOR} --build-options -DCMAKE_PREFIX_PATH=${prefix}
         ${sanitize} --test-command outside)
set_tests_properties(package.clean PROPERTIES FIXTURES_SETUP package_clean)
set_tests_properties(package.install PROPERTIES FIXTURES_REQUIRED package_clean FIXTURES_SETUP package)
set_tests_properties(package.outside PROPERTIES FIXTURES_REQUIRED package TIMEOUT 300)
