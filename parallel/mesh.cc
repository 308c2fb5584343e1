#include "parallel/mesh.h"

namespace fusor {

Mesh Mesh::over(const Group& world, const MeshShape& shape) {
  require(shape.tp == 1 && shape.pp == 1 && shape.cp == 1 && shape.ep == 1,
          "this version splits the run by data only: set tp, pp, cp and ep to 1, not ", shape.tp,
          ", ", shape.pp, ", ", shape.cp, " and ", shape.ep);
  require(shape.dp == world.size(), "dp ", shape.dp, " does not match ", world.size(), " ranks");
  const std::vector<int> one_color(static_cast<std::size_t>(world.size()), 0);
  return {.shape = shape, .world = world, .dp = world.split(one_color, "dp")};
}

}  // namespace fusor
