from __future__ import annotations
from dataclasses import dataclass
from decimal import Decimal
class InsufficientFunds(Exception):
    def __init__(self, need: Decimal, have: Decimal) -> None:
        super().__init__(f"need {need}, have {have}"); self.need = need
@dataclass
class Account:
    owner: str
    balance: Decimal = Decimal(0)
    __fee = Decimal("0.50")
    def withdraw(self, amount: Decimal) -> Account:
        total = amount + self.__fee
        if total > self.balance: raise InsufficientFunds(total, self.balance)
        self.balance -= total
        return self
    def __iadd__(self, amount): self.balance += amount; return self
a = Account("x"); a += Decimal(10); a.withdraw(Decimal(3)); print(a)
try: a.withdraw(Decimal(100))
except InsufficientFunds as e: print(e, e.need)
