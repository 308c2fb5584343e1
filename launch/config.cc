#include "launch/config.h"

#include <map>

#include "launch/keys.h"
#include "launch/values.h"
#include "runtime/error.h"

namespace fusor {

Config resolve(Config c) {
  c.model = resolve(c.model);
  if (c.data.seq_len == 0) c.data.seq_len = c.model.seq_len;
  require(c.data.seq_len <= c.model.seq_len, "data.seq_len ", c.data.seq_len,
          " is longer than model.seq_len ", c.model.seq_len);
  require(c.parallel.zero < 3 || c.train.sample_every == 0,
          "train.sample_every needs all weights on a rank, which parallel.zero = 3 splits: set one "
          "of the two to 0");
  const auto& o = c.optimizer;
  require(o.schedule == Decay::constant || o.min_lr <= o.lr, "optimizer.min_lr ", to_text(o.min_lr),
          " is above optimizer.lr ", to_text(o.lr));
  return c;
}

std::vector<Difference> differences(const Config& before, const Config& after) {
  std::map<std::string_view, std::string> old;
  visit_keys(before, [&](const Key& key, const auto& value) { old[key.name] = to_text(value); });
  std::vector<Difference> found;
  visit_keys(after, [&](const Key& key, const auto& value) {
    const std::string text = to_text(value);
    if (text != old[key.name])
      found.push_back({std::string(key.name), old[key.name], text, key.fixed});
  });
  return found;
}

void require_resumable(const Config& then, const Config& now, const std::string& where) {
  for (const Difference& d : differences(then, now))
    require(!d.fixed, d.key, " = ", d.after, " cannot go on from ", where,
            ", which was trained with ", d.key, " = ", d.before);
}

}  // namespace fusor
