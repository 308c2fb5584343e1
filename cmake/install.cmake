# cmake --install puts the libraries, headers, the fusor program and a package that find_package(fusor) reads.
