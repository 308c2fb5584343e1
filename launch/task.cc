#include "launch/task.h"

#include "launch/bert_task.h"
#include "launch/image_task.h"
#include "launch/speech_task.h"
#include "launch/text_task.h"

namespace fusor {

std::unique_ptr<Task> make_task(const Config& config) {
  switch (config.family) {
    case Family::gpt:
      return std::make_unique<TextTask>(config);
    case Family::resnet:
    case Family::vit:
      return std::make_unique<ImageTask>(config);
    case Family::speech:
      return std::make_unique<SpeechTask>(config);
    case Family::bert:
      return std::make_unique<BertTask>(config);
  }
  raise("preset " + config.preset + " has no task");
}

std::int64_t num_parameters(const Task& task) {
  std::int64_t count = 0;
  const std::unique_ptr<Model> model = task.model();
  for (const Parameter* p : parameters_of(*model))
    if (!p->twin_of) count += num_elements(p->shape);
  return count;
}

}  // namespace fusor
