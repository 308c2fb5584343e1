# The whole build vocabulary of the project: fusor_library, fusor_test and fusor_benchmark.
add_library(fusor_flags INTERFACE)
add_library(fusor::flags ALIAS fusor_flags)
set_target_properties(fusor_flags PROPERTIES EXPORT_NAME flags)
target_compile_features(fusor_flags INTERFACE cxx_std_20)
if(FUSOR_CUDA)
  target_compile_definitions(fusor_flags INTERFACE FUSOR_CUDA)
endif()

# Warnings and code generation are ours alone: they do not reach a project that links Fusor.
add_library(fusor_build INTERFACE)
target_link_libraries(fusor_build INTERFACE fusor_flags)
target_compile_options(fusor_build INTERFACE
  # Device code may call constexpr functions: random numbers, row maps, conversions are written once.
  $<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--expt-relaxed-constexpr;--extended-lambda;-lineinfo>  # no cuda_std_20 in CMake 3.25
  "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Werror all-warnings -Xcompiler=-Wall,-Wextra,-Werror>"
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Werror>
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>  # g++ 12 warns of std::string's own operator+ (GCC bug 105651)
  # Fused multiply-add is on; nothing here reads errno or traps. No -ffast-math: sums keep their order.
  $<$<COMPILE_LANGUAGE:CXX>:-ffp-contract=fast;-fno-math-errno;-fno-trapping-math>
  $<$<COMPILE_LANGUAGE:CXX>:-march=${FUSOR_CPU_ARCH};-mprefer-vector-width=512>)
if(FUSOR_SANITIZE)
  target_compile_options(fusor_build INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${FUSOR_SANITIZE};-fno-sanitize-recover=all>)
  target_link_options(fusor_build INTERFACE -fsanitize=${FUSOR_SANITIZE})
endif()

# fusor_library(ops HEADERS a.h SOURCES a.cc CUDA a.cu NO_CUDA b.cc DEPS fusor::runtime PRIVATE_DEPS x): CUDA are
# the sources of the CUDA backend, NO_CUDA what stands in for them without it.
function(fusor_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "HEADERS;SOURCES;CUDA;NO_CUDA;DEPS;PRIVATE_DEPS")
  add_library(fusor_${name} STATIC ${arg_SOURCES})
  if(FUSOR_CUDA)
    target_sources(fusor_${name} PRIVATE ${arg_CUDA})
  else()
    target_sources(fusor_${name} PRIVATE ${arg_NO_CUDA})
  endif()
  if(FUSOR_CUDA STREQUAL EMULATED)  # kernels are C++ to the emulator
    set_source_files_properties(${arg_CUDA} PROPERTIES LANGUAGE CXX)
  endif()
  add_library(fusor::${name} ALIAS fusor_${name})
  target_sources(fusor_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${arg_HEADERS})
  target_link_libraries(fusor_${name} PUBLIC ${arg_DEPS} fusor_flags PRIVATE ${arg_PRIVATE_DEPS} $<BUILD_INTERFACE:fusor_build>)
  set_target_properties(fusor_${name} PROPERTIES EXPORT_NAME ${name} VERIFY_INTERFACE_HEADER_SETS ON)
  set_property(GLOBAL APPEND PROPERTY FUSOR_LIBRARIES fusor_${name})
endfunction()

if(FUSOR_CUDA STREQUAL EMULATED)
  add_custom_target(emulated_tests)
elseif(FUSOR_CUDA)
  add_custom_target(gpu_programs)  # what a machine with a GPU tests and measures Fusor with: launch/bundle.sh
  add_custom_target(cuda_host_tests)  # of the CUDA backend, without a GPU
endif()
function(fusor_gpu_program target)
  if(TARGET gpu_programs)
    add_dependencies(gpu_programs ${target})
    set_property(GLOBAL APPEND PROPERTY FUSOR_GPU_PROGRAMS $<TARGET_FILE:${target}>)
  endif()
endfunction()

# fusor_test(tp SOURCES tp_test.cc DEPS fusor::models RANKS 1 2 4 LABELS slow): one ctest entry per
# rank count. Without RANKS every TEST is an entry of its own. The label is cpu unless another is given.
# With FUSOR_CUDA=EMULATED only tests labelled emulated are built, as emulated_tests, and run.
function(fusor_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS;RANKS;LABELS")
  if(NOT arg_LABELS)
    set(arg_LABELS cpu)
  endif()
  add_executable(${name}_test ${arg_SOURCES})
  target_link_libraries(${name}_test PRIVATE ${arg_DEPS} fusor_build)
  if(NOT arg_RANKS)
    target_link_libraries(${name}_test PRIVATE GTest::gmock GTest::gtest_main)
  else()
    target_link_libraries(${name}_test PRIVATE fusor_mpi_gtest_main)
  endif()
  if("gpu" IN_LIST arg_LABELS)
    fusor_gpu_program(${name}_test)
  elseif("cuda_host" IN_LIST arg_LABELS)
    add_dependencies(cuda_host_tests ${name}_test)
  endif()
  if(FUSOR_CUDA STREQUAL EMULATED)
    set_target_properties(${name}_test PROPERTIES EXCLUDE_FROM_ALL ON)
    if(NOT "emulated" IN_LIST arg_LABELS)
      return()
    endif()
    add_dependencies(emulated_tests ${name}_test)
    set(environment OMP_NUM_THREADS=1)  # kernels run on the thread that waits for them
  else()
    set(environment OMP_WAIT_POLICY=passive)  # tests share cores
  endif()
  if(NOT arg_RANKS)
    gtest_discover_tests(${name}_test NO_PRETTY_VALUES TEST_PREFIX "${name}." DISCOVERY_TIMEOUT 60
      PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 120 ENVIRONMENT ${environment})
    return()
  endif()
  foreach(ranks ${arg_RANKS})
    add_test(NAME ${name}.np${ranks} COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${ranks}
             ${FUSOR_MPIEXEC_FLAGS} $<TARGET_FILE:${name}_test>)
    set_tests_properties(${name}.np${ranks} PROPERTIES LABELS "${arg_LABELS};mpi" PROCESSORS ${ranks} TIMEOUT 120
                         ENVIRONMENT "OMP_NUM_THREADS=1")
  endforeach()
endfunction()
set(FUSOR_MPIEXEC_FLAGS --oversubscribe --allow-run-as-root --timeout 110 CACHE STRING "Extra mpiexec flags for tests")
