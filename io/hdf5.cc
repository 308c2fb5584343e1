#include "io/hdf5.h"

#include <algorithm>
#include <array>
#include <vector>

#include "runtime/error.h"

namespace fusor {
Hdf5Quiet::Hdf5Quiet() {
  H5Eget_auto2(H5E_DEFAULT, &print_, &data_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Hdf5Quiet::~Hdf5Quiet() { H5Eset_auto2(H5E_DEFAULT, print_, data_); }

void check_hdf5(std::int64_t status, const std::string& what, std::source_location at) {
  if (status >= 0) return;
  std::string cause = "no cause given";
  const auto first_only = [](unsigned, const H5E_error2_t* error, void* out) -> herr_t {
    *static_cast<std::string*>(out) = error->desc;
    return 1;  // stop
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_only, &cause);
  raise(what + ": " + cause, at);
}

Hdf5File open_hdf5(const std::string& path) {
  const Hdf5List access(H5Pcreate(H5P_FILE_ACCESS));
  check_hdf5(H5Pset_file_locking(access.get(), false, true), "cannot open " + path);
  Hdf5File file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()));
  check_hdf5(file.get(), path + " is not a readable HDF5 file");
  const Hdf5List creation(H5Fget_create_plist(file.get()));
  hsize_t user_block = 0;  // would shift the addresses of chunks
  check_hdf5(H5Pget_userblock(creation.get(), &user_block), "cannot read " + path);
  require(user_block == 0, path, " begins with an HDF5 user block, which shards may not have");
  return file;
}

Hdf5Dataset open_dataset(hid_t file, const std::string& path, const char* name, hid_t type,
                         std::string_view type_name) {
  Hdf5Dataset dataset(H5Dopen2(file, name, H5P_DEFAULT));
  check_hdf5(dataset.get(), path + " has no dataset '" + name + "'");
  const Hdf5Type stored(H5Dget_type(dataset.get()));
  require(H5Tequal(stored.get(), type) > 0, path, ": dataset '", name,
          "' must be stored as little-endian ", type_name);
  return dataset;
}

Shape shape_of(hid_t dataset) {
  const Hdf5Space space(H5Dget_space(dataset));
  const int dims = std::max(0, H5Sget_simple_extent_ndims(space.get()));
  std::array<hsize_t, H5S_MAX_RANK> extents{};
  check_hdf5(H5Sget_simple_extent_dims(space.get(), extents.data(), nullptr),
             "cannot read the shape of an HDF5 dataset");
  return {extents.begin(), extents.begin() + dims};
}

Hdf5Dataset open_vector(hid_t file, const std::string& path, const char* name, hid_t type,
                        std::string_view type_name) {
  Hdf5Dataset dataset = open_dataset(file, path, name, type, type_name);
  require(shape_of(dataset.get()).size() == 1, path, ": dataset '", name, "' must have one dim");
  return dataset;
}

Hdf5Image::Hdf5Image(std::size_t expected_bytes) {
  const Hdf5List access(H5Pcreate(H5P_FILE_ACCESS));
  check_hdf5(H5Pset_fapl_core(access.get(), expected_bytes, false), "cannot set up an HDF5 image");
  file_ = Hdf5File(H5Fcreate("image", H5F_ACC_TRUNC, H5P_DEFAULT, access.get()));
  check_hdf5(file_.get(), "cannot create an HDF5 image");
}

void Hdf5Image::add(const char* name, hid_t type, const void* data, const Shape& shape) {
  const std::string what = "cannot add '" + std::string(name) + "' to an HDF5 image";
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  const Hdf5Space space(H5Screate_simple(static_cast<int>(shape.size()), extents.data(), nullptr));
  check_hdf5(space.get(), what);
  const Hdf5List layout(H5Pcreate(H5P_DATASET_CREATE));
  check_hdf5(H5Pset_obj_track_times(layout.get(), false), what);  // equal content, equal bytes
  const Hdf5Dataset dataset(
      H5Dcreate2(file_.get(), name, type, space.get(), H5P_DEFAULT, layout.get(), H5P_DEFAULT));
  check_hdf5(dataset.get(), what);
  check_hdf5(H5Dwrite(dataset.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), what);
}

std::span<const std::byte> Hdf5Image::bytes() const {
  void* memory = nullptr;
  hsize_t size = 0;
  check_hdf5(H5Fflush(file_.get(), H5F_SCOPE_GLOBAL), "cannot complete an HDF5 image");
  check_hdf5(H5Fget_vfd_handle(file_.get(), H5P_DEFAULT, &memory), "cannot find an HDF5 image");
  check_hdf5(H5Fget_filesize(file_.get(), &size), "cannot measure an HDF5 image");
  return {*static_cast<std::byte**>(memory), size};
}

}  // namespace fusor
