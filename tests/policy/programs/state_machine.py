from enum import Enum, auto
from dataclasses import dataclass, field
class State(Enum): IDLE = auto(); RUNNING = auto(); DONE = auto()
@dataclass
class Machine:
    state: State = State.IDLE
    history: list[State] = field(default_factory=list)
    _transitions = {State.IDLE: State.RUNNING, State.RUNNING: State.DONE}
    def step(self) -> "Machine":
        self.history.append(self.state)
        self.state = self._transitions[self.state]
        return self
m = Machine().step().step()
print(m.state.name, [s.name for s in m.history], m)
