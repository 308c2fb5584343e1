# fusor_fuzzer(manifest SOURCES tests/fuzz_manifest.cc io/manifest.cc ...): a libFuzzer program with
# address and undefined-behaviour checks, and its ctest "fuzz.manifest" (label slow). libFuzzer comes
# with clang, so clang compiles the named sources, given relative to the repository, beside the main
# build. The program gets a folder as its first argument and writes its seed corpus there itself, in
# LLVMFuzzerInitialize. Without clang 15 or later (the first with std::source_location) the test is
# reported as skipped.
set(FUSOR_FUZZ_SECONDS 20 CACHE STRING "How long each fuzzer runs in the suite")
find_program(FUSOR_FUZZ_CXX NAMES clang++-19 clang++-16 clang++-15 clang++)
if(FUSOR_FUZZ_CXX AND NOT DEFINED FUSOR_FUZZ_CXX_WORKS)
  file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/fuzz_probe.cc
       "#include <source_location>\nstd::source_location at;\n"
       "extern \"C\" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }\n")
  execute_process(COMMAND ${FUSOR_FUZZ_CXX} -std=c++20 -fsanitize=fuzzer,address,undefined fuzz_probe.cc -o fuzz_probe
                  WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR} RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
  string(COMPARE EQUAL "${status}" 0 works)
  set(FUSOR_FUZZ_CXX_WORKS ${works} CACHE INTERNAL "clang links libFuzzer")
endif()

function(fusor_fuzzer name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES")
  if(NOT FUSOR_FUZZ_CXX_WORKS)
    add_test(NAME fuzz.${name} COMMAND ${CMAKE_COMMAND} -E echo "skipped: clang++ 15 or later with libFuzzer is not installed")
    set_tests_properties(fuzz.${name} PROPERTIES SKIP_REGULAR_EXPRESSION "skipped:" LABELS slow)
    return()
  endif()
  set(flags -std=c++20 -g1 -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
      -I${PROJECT_SOURCE_DIR})
  foreach(source ${arg_SOURCES})
    string(REPLACE "/" "_" object fuzz_${name}_${source}.o)
    set(object ${CMAKE_CURRENT_BINARY_DIR}/${object})
    add_custom_command(OUTPUT ${object} DEPFILE ${object}.d DEPENDS ${PROJECT_SOURCE_DIR}/${source}
      COMMAND ${CMAKE_CXX_COMPILER_LAUNCHER} ${FUSOR_FUZZ_CXX} ${flags} -MD -MF ${object}.d
              -c ${PROJECT_SOURCE_DIR}/${source} -o ${object} VERBATIM)
    list(APPEND objects ${object})
  endforeach()
  set(program ${CMAKE_CURRENT_BINARY_DIR}/fuzz_${name})
  add_custom_command(OUTPUT ${program} DEPENDS ${objects} COMMAND ${FUSOR_FUZZ_CXX} ${flags} ${objects} -o ${program} VERBATIM)
  add_custom_target(fuzz_${name}_program ALL DEPENDS ${program})
  add_test(NAME fuzz.${name} COMMAND ${program} ${CMAKE_CURRENT_BINARY_DIR}/fuzz_${name}_corpus
           -max_total_time=${FUSOR_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=2048 -print_final_stats=1)
  math(EXPR limit "${FUSOR_FUZZ_SECONDS} + 60")
  set_tests_properties(fuzz.${name} PROPERTIES LABELS slow TIMEOUT ${limit})
endfunction()
