# cudnn-frontend: NVIDIA's headers that describe attention to cuDNN. Debian does not have them, so unless they are there
# already (CUDNN_FRONTEND_INCLUDE_DIR) pip fetches their wheel, whose name and checksum are fixed; nothing in it is run.
block()
  set(version 1.32.0)
  set(checksum c6006556017a4d1c914c52a556c71b1267f2d6a0500f742e7b4edef539878df0)
  set(folder ${PROJECT_BINARY_DIR}/cudnn-frontend-${version})
  find_path(CUDNN_FRONTEND_INCLUDE_DIR cudnn_frontend.h HINTS ${folder}/include ${CUDNN_INCLUDE_DIR})
  if(NOT CUDNN_FRONTEND_INCLUDE_DIR)
    message(STATUS "Fetching cudnn-frontend ${version}")
    execute_process(
      COMMAND python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest ${folder}
              --implementation cp --python-version 3.11 --platform manylinux_2_28_x86_64 nvidia-cudnn-frontend==${version}
      TIMEOUT 120 OUTPUT_QUIET ERROR_VARIABLE why RESULT_VARIABLE failed)
    file(GLOB wheel ${folder}/*.whl)
    if(wheel AND NOT failed)
      file(SHA256 ${wheel} got)
      if(NOT got STREQUAL checksum)
        message(FATAL_ERROR "${wheel} is not the file it should be: its SHA-256 is ${got}")
      endif()
      file(ARCHIVE_EXTRACT INPUT ${wheel} DESTINATION ${folder} PATTERNS "include/*")
      find_path(CUDNN_FRONTEND_INCLUDE_DIR cudnn_frontend.h HINTS ${folder}/include)
    endif()
  endif()
  if(CUDNN_FRONTEND_INCLUDE_DIR)
    add_library(fusor_cudnn_frontend INTERFACE)
    target_include_directories(fusor_cudnn_frontend SYSTEM INTERFACE ${CUDNN_FRONTEND_INCLUDE_DIR})
  else()
    message(WARNING "cudnn-frontend could not be fetched, so attention will not use cuDNN. On a machine without a network "
                    "set CUDNN_FRONTEND_INCLUDE_DIR to its folder include/. pip says: ${why}")
  endif()
endblock()
