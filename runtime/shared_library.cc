#include "runtime/shared_library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "runtime/error.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> folders_in(const fs::path& path) {
  std::vector<fs::path> found;
  std::error_code unreadable;
  for (const auto& entry : fs::directory_iterator(path, unreadable))
    if (entry.is_directory(unreadable)) found.push_back(entry.path());
  std::ranges::sort(found);
  return found;
}

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

// The folders of pip's nvidia packages below `root`/lib/python3.*/site-packages.
void add_pip_folders(const fs::path& root, std::vector<std::string>& to) {
  for (const fs::path& python : folders_in(root / "lib"))
    if (python.filename().string().starts_with("python3"))
      for (const char* const packages : {"site-packages", "dist-packages"})
        for (const fs::path& package : folders_in(python / packages / "nvidia"))
          if (fs::is_directory(package / "lib")) to.push_back(package / "lib");
}

}  // namespace

std::vector<std::string> cuda_library_folders() {
  std::vector<std::string> folders;
  std::istringstream given(variable("FUSOR_CUDA_LIBRARIES"));
  for (std::string folder; std::getline(given, folder, ':');)
    if (!folder.empty()) folders.push_back(folder);
  for (const std::string& toolkit :
       {variable("CUDA_HOME"), variable("CUDA_PATH"), std::string("/usr/local/cuda")})
    if (!toolkit.empty()) folders.push_back(toolkit + "/lib64");
  const std::string home = variable("HOME");
  for (const std::string& root :
       {variable("VIRTUAL_ENV"), variable("CONDA_PREFIX"), home.empty() ? "" : home + "/.local",
        std::string("/usr/local"), std::string("/usr")})
    if (!root.empty()) add_pip_folders(root, folders);
  return folders;
}

SharedLibrary::SharedLibrary(const std::vector<std::string>& names) {
  require(!names.empty(), "a library without a name");
  const std::vector<std::string> folders = cuda_library_folders();
  std::string reason;  // of the first file that is there and cannot be loaded
  const auto load = [&](const std::string& file) {
    handle_ = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle_) file_ = file;
    const char* const error = handle_ ? nullptr : ::dlerror();
    if (error && reason.empty() && fs::exists(file)) reason = error;
    return handle_ != nullptr;
  };
  for (const std::string& name : names) {
    if (load(name)) return;
    for (const std::string& folder : folders)
      if (load(folder + "/" + name)) return;
  }
  if (!reason.empty()) raise(names[0] + " cannot be loaded: " + reason);
  std::string looked = "the loader's path";
  for (const std::string& folder : folders) looked += ", " + folder;
  raise(names[0] + " is not in " + looked + "; FUSOR_CUDA_LIBRARIES may name its folder");
}

bool SharedLibrary::has(const char* symbol) const { return ::dlsym(handle_, symbol) != nullptr; }

void* SharedLibrary::address(const char* symbol) const {
  void* const found = ::dlsym(handle_, symbol);
  require(found, file_, " has no ", symbol);
  return found;
}

}  // namespace fusor
