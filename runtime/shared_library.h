#pragma once
#include <string>
#include <vector>

namespace fusor {

// A shared library that is loaded when it is needed, not when the program starts: cuBLAS, cuDNN and
// NCCL take 0.1 s and 250 MB, and are not on machines without a GPU.
class SharedLibrary {
 public:
  // `names` by preference ("libcudnn.so.9"). Looks where the loader does, then in the folders of
  // cuda_library_folders(). Throws Error that names what was looked for, and where.
  explicit SharedLibrary(const std::vector<std::string>& names);

  // The function of this name. Throws Error that names it and the library's file if there is none.
  template <class F>
  F* function(const char* symbol) const {
    return reinterpret_cast<F*>(address(symbol));
  }
  bool has(const char* symbol) const;
  const std::string& file() const { return file_; }

 private:
  void* address(const char* symbol) const;
  void* handle_ = nullptr;  // never closed: such libraries leave threads and handlers behind
  std::string file_;
};

// Where NVIDIA's libraries lie on machines of all kinds: FUSOR_CUDA_LIBRARIES (folders with ':'
// between them), the toolkit (CUDA_HOME, CUDA_PATH, /usr/local/cuda), and pip's nvidia packages of
// the virtual environment, of conda, of the user and of the system.
std::vector<std::string> cuda_library_folders();

}  // namespace fusor
