# cmake --install puts the libraries, headers, the fusor program and a package that find_package(fusor) reads.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fusor)
get_property(libraries GLOBAL PROPERTY FUSOR_LIBRARIES)
install(TARGETS ${libraries} fusor_flags EXPORT fusor-targets
        FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/fusor)
install(EXPORT fusor-targets NAMESPACE fusor:: DESTINATION ${package_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/fusor-config.cmake.in
  ${PROJECT_BINARY_DIR}/fusor-config.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fusor-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fusor-config.cmake ${PROJECT_BINARY_DIR}/fusor-config-version.cmake
        ${PROJECT_SOURCE_DIR}/cmake/dependencies.cmake DESTINATION ${package_dir})
