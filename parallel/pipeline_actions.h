#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "parallel/schedule.h"

// What a pipeline rank does in a step: the entries of its schedule, and between them the messages
// that carry activations forward and gradients back along the edges of the stage graph.
namespace fusor {

enum class ActionKind : std::uint8_t {
  compute,
  post_receive,  // begins to receive; does not block
  wait_receive,  // the value is here
  send,          // begins to send; does not block
  wait_send      // the buffer is free again
};

// Along an edge travels what its reader needs of its source: where that is several tensors, all of
// them, in one order on both sides. An edge between two stages of a rank has no actions; its reader
// finds the value where the source left it.
struct Action {
  ActionKind kind;
  Phase phase;  // of compute; of a message: forward an activation, backward its gradient
  int stage;    // the one computed, or this rank's end of the edge
  int micro;
  int other = -1;  // of a message: the stage at the far end of the edge
  int peer = -1;   // of a message: the pipeline rank that holds `other`
  bool operator==(const Action&) const = default;
};

// "F/stage 2/micro 5"; of a message, alike on both sides: "B/stage 3 -> 2/micro 5".
std::string name_of(const Action&);

// The actions of every pipeline rank. Messages have no tags: a rank posts its receives from another
// in the order in which that one sends, before it begins the entry ahead of the one that needs the
// value (so that the message travels while that entry is computed), or earlier where order asks for
// it or where ranks whose sends block until they are received would else wait in a cycle. A value
// is sent as soon as it is computed. An activation's buffer is waited for before its B, a
// gradient's before the next B of its stage; the last ones at the end.
// Throws Error where check(schedule, graph) does.
std::vector<std::vector<Action>> pipeline_actions(const Schedule&, const StageGraph&);

// When a send is over: at once, or when its receive has been posted, as MPI may do and NCCL does.
// `blocking` waits for that in the send itself, where `rendezvous` waits in wait_send.
enum class SendMode : std::uint8_t { buffered, rendezvous, blocking };

// Plays the actions to their end. Throws Error, which names ranks and actions, when a send meets
// another receive than its own or none, a stage is computed before its values are there, an entry
// is missing, a message is not waited for, or ranks wait in a cycle.
void check_actions(const std::vector<std::vector<Action>>&, const Schedule&, const StageGraph&,
                   SendMode);

}  // namespace fusor
