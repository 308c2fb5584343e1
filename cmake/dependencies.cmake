# Every outside library, found once. Also included by the installed package (fusor-config.cmake).
set(MPI_CXX_SKIP_MPICXX ON)  # the C API only: the removed C++ bindings do not link
find_package(MPI REQUIRED COMPONENTS C CXX)
find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)
# Not find_package(dnnl): Debian's config asks for OpenCL headers that the CPU engine never uses.
find_path(DNNL_INCLUDE_DIR oneapi/dnnl/dnnl.hpp REQUIRED)
find_library(DNNL_LIBRARY dnnl REQUIRED)
if(NOT TARGET fusor_dnnl)
  add_library(fusor_dnnl INTERFACE IMPORTED)
  target_include_directories(fusor_dnnl INTERFACE ${DNNL_INCLUDE_DIR})
  target_link_libraries(fusor_dnnl INTERFACE ${DNNL_LIBRARY})
endif()
find_package(nlohmann_json 3 REQUIRED)
find_package(Boost REQUIRED COMPONENTS program_options)
set(HDF5_PREFER_PARALLEL OFF)
set(HDF5_USE_STATIC_LIBRARIES ${FUSOR_STATIC_HDF5})
find_package(HDF5 REQUIRED COMPONENTS C)
if(FUSOR_STATIC_HDF5)  # the compression that HDF5's filters call
  find_library(SZIP_LIBRARY sz REQUIRED)
  find_library(ZLIB_LIBRARY z REQUIRED)
  target_link_libraries(hdf5::hdf5 INTERFACE ${SZIP_LIBRARY} ${ZLIB_LIBRARY} ${CMAKE_DL_LIBS} m)
endif()
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
