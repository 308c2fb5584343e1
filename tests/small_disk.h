#pragma once
#include <sys/mount.h>

#include <string>

#include "tests/temporary_folder.h"

namespace fusor {

// A file system of its own with so many megabytes. Mounting it takes root: without, a test skips.
class SmallDisk {
 public:
  explicit SmallDisk(int megabytes)
      : mounted_(::mount("none", folder_.path().c_str(), "tmpfs", 0,
                         ("size=" + std::to_string(megabytes) + "m").c_str()) == 0) {}
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount(folder_.path().c_str());
  }
  bool mounted() const { return mounted_; }
  const std::string& path() const { return folder_.path(); }

 private:
  TemporaryFolder folder_;
  bool mounted_;
};

}  // namespace fusor
