#pragma once
#include "ops/tape.h"

namespace fusor {

// How a relation carries an entity to where its partners should lie; by the inverse, partners to
// where the entity should. Rows of complex numbers hold all real parts, then all imaginary ones.
enum class Relating : std::uint8_t {
  translate,  // e + r; e - r               r [N, C]: TransE, Bordes et al. 2013
  scale,      // e r, element by element    r [N, C]: DistMult, https://arxiv.org/abs/1412.6575
  complex,    // e r; e conj(r)             r [N, C]: ComplEx, https://arxiv.org/abs/1606.06357
  rotate      // e exp(i r); e exp(-i r)    r [N, C / 2]: RotatE, https://arxiv.org/abs/1902.10197
};

// The width of a relation's row beside entities of `width`. Throws Error where complex numbers
// would need an even width.
std::int64_t relation_width(Relating, std::int64_t width);

// q[n,:] = e[n,:] carried by r[n,:], or by its inverse where inverse[n] is not 0.
// e [N, C]   r [N, relation_width]   inverse i32 [N], or undefined: nowhere   q [N, C]
Var relate(const Var& e, const Var& r, const Tensor& inverse, Relating);

}  // namespace fusor
