# cmake -P, from the top of the repository: what the kernels are compiled for, by nvcc and by GPU.
cmake_minimum_required(VERSION 3.25)
include(cmake/cuda_architectures.cmake)
set(new "compute_75\ncompute_80\ncompute_86\ncompute_90\ncompute_100\ncompute_120\n")  # CUDA 12.8's
set(old "compute_50\ncompute_80\ncompute_86\ncompute_90\n")                            # 12.4's

function(expect name got want)
  if(NOT got STREQUAL want)
    message(SEND_ERROR "${name}: \"${got}\", not \"${want}\"")
  endif()
endfunction()
function(chosen name want)
  fusor_cuda_architectures(got why_not ${ARGN})
  expect("${name}" "${got}" "${want}")
  expect("${name}, why not" "${why_not}" "")
endfunction()
function(refused name want)
  fusor_cuda_architectures(got why_not ${ARGN})
  expect("${name}" "${why_not}" "${want}")
endfunction()

chosen("no GPU" "80;90;100" KNOWN "${new}" GPU OFF)
chosen("no GPU, an older nvcc" "80;90" KNOWN "${old}" GPU OFF)
chosen("a GPU" native KNOWN "${old}" GPU ON)
chosen("the user's choice" "86;90a-real;100f;120-virtual" GIVEN 86 90a-real 100f 120-virtual KNOWN "${new}" GPU ON)
refused("one that nvcc does not know" "CMAKE_CUDA_ARCHITECTURES has 100; with this nvcc it can be native or some of 80, 86, 90"
        GIVEN 80 100 KNOWN "${old}" GPU ON)
refused("one that Fusor does not know"
        "CMAKE_CUDA_ARCHITECTURES has 75; with this nvcc it can be some of 80, 86, 90, 100, 120"
        GIVEN 75 KNOWN "${new}" GPU OFF)
refused("native without a GPU"
        "CMAKE_CUDA_ARCHITECTURES is native, but this machine has no GPU to ask; it can be some of 80, 86, 90"
        GIVEN native KNOWN "${old}" GPU OFF)
refused("an nvcc that is too old" "This nvcc knows none of the compute capabilities 80, 90 and 100"
        KNOWN "compute_75\n" GPU OFF)
