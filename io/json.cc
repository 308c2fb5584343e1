#include "io/json.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "runtime/error.h"

namespace fusor {
namespace {

// A parser callback that refuses an object with two equal keys (the JSON library keeps the last).
class UniqueKeys {
 public:
  explicit UniqueKeys(const std::string& file) : file_(file) {}

  bool operator()(int, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) seen_.emplace_back();
    if (event == Event::object_end) seen_.pop_back();
    if (event == Event::key) {
      const auto& key = value.get_ref<const std::string&>();
      require(seen_.back().insert(key).second, file_, ": key '", key, "' is given twice");
    }
    return true;
  }

 private:
  const std::string& file_;
  std::vector<std::set<std::string>> seen_;
};

std::int64_t to_count(const nlohmann::json& value, const std::string& name) {
  require(value.is_number_unsigned() && value.get<std::uint64_t>() <= INT64_MAX, name,
          " must be a whole number of 0 or more, not ",
          value.is_number() ? value.dump() : value.type_name());
  return value.get<std::int64_t>();
}

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& file) {
  try {
    UniqueKeys unique(file);
    return nlohmann::json::parse(text, std::ref(unique));
  } catch (const nlohmann::json::parse_error& error) {
    raise(file + " is not valid JSON at byte " + std::to_string(error.byte));
  } catch (const nlohmann::json::out_of_range&) {
    raise(file + " holds a number that no machine number can hold");
  }
}

JsonObject::JsonObject(const nlohmann::json& value, std::string file, std::string key)
    : value_(&value), file_(std::move(file)), key_(std::move(key)) {
  require(value.is_object(), key_.empty() ? file_ : file_ + ": key '" + key_ + "'",
          " must hold a JSON object, not ", value.type_name());
}

std::string JsonObject::name_of(const std::string& key) const {
  return file_ + ": key '" + (key_.empty() ? key : key_ + "." + key) + "'";
}

const nlohmann::json& JsonObject::at(const std::string& key) const {
  const auto found = value_->find(key);
  require(found != value_->end(), name_of(key), " is missing");
  return *found;
}

std::string JsonObject::text(const std::string& key) const {
  const auto& value = at(key);
  require(value.is_string(), name_of(key), " must be a string, not ", value.type_name());
  return value.get<std::string>();
}

std::int64_t JsonObject::count(const std::string& key) const {
  return to_count(at(key), name_of(key));
}

Shape JsonObject::counts(const std::string& key) const {
  const auto& value = at(key);
  require(value.is_array(), name_of(key), " must be an array, not ", value.type_name());
  Shape result;
  for (const auto& item : value) result.push_back(to_count(item, name_of(key)));
  return result;
}

bool JsonObject::flag(const std::string& key) const {
  const auto& value = at(key);
  require(value.is_boolean(), name_of(key), " must be true or false, not ", value.type_name());
  return value.get<bool>();
}

std::vector<std::string> JsonObject::texts(const std::string& key) const {
  const auto& value = at(key);
  require(value.is_array(), name_of(key), " must be an array, not ", value.type_name());
  std::vector<std::string> result;
  for (const auto& item : value) {
    require(item.is_string(), name_of(key), " must hold strings, not ", item.type_name());
    result.push_back(item.get<std::string>());
  }
  return result;
}

std::uint64_t JsonObject::checksum(const std::string& key) const {
  const std::string digits = text(key);
  std::uint64_t value = 0;
  const auto [end, status] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
  require(digits.size() == 16 && status == std::errc() && end == digits.data() + digits.size(),
          name_of(key), " must be 16 hex digits, not '", digits, "'");
  return value;
}

JsonObject JsonObject::object(const std::string& key) const {
  return {at(key), file_, key_.empty() ? key : key_ + "." + key};
}

std::vector<JsonObject> JsonObject::objects(const std::string& key) const {
  const auto& value = at(key);
  require(value.is_array(), name_of(key), " must be an array, not ", value.type_name());
  std::vector<JsonObject> result;
  for (std::size_t i = 0; i < value.size(); ++i)
    result.push_back(
        {value[i], file_, (key_.empty() ? key : key_ + "." + key) + "[" + std::to_string(i) + "]"});
  return result;
}

std::vector<std::string> JsonObject::keys() const {
  std::vector<std::string> result;
  for (const auto& [key, value] : value_->items()) result.push_back(key);
  return result;
}

void JsonObject::allow_only(std::initializer_list<std::string_view> known) const {
  for (const auto& key : keys())
    require(std::find(known.begin(), known.end(), key) != known.end(), name_of(key),
            " is not known");
}

}  // namespace fusor
