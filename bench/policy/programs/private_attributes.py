"""Classes as libraries have them: state behind underscores, read through properties and methods."""

SIZE = 2_500


class Account:
    def __init__(self, owner, balance=0):
        self._owner = owner
        self._balance = balance
        self._history = []

    @property
    def balance(self):
        return self._balance

    def deposit(self, amount):
        self._record("deposit", amount)
        self._balance += amount

    def withdraw(self, amount):
        if amount > self._balance:
            raise ValueError(f"{self._owner} has only {self._balance}")
        self._record("withdraw", amount)
        self._balance -= amount

    def transfer(self, other, amount):
        self.withdraw(amount)
        other._balance += amount
        other._record("transfer", amount)

    def _record(self, kind, amount):
        self._history.append((kind, amount))

    def __lt__(self, other):
        return self._balance < other._balance


class Bank:
    def __init__(self):
        self._accounts = {}
        self._refused = 0

    def open(self, owner):
        account = self._accounts[owner] = Account(owner)
        return account

    def total(self):
        return sum(account._balance for account in self._accounts.values())

    def move(self, source, target, amount):
        try:
            self._accounts[source].transfer(self._accounts[target], amount)
        except ValueError:
            self._refused += 1

    def richest(self):
        return max(self._accounts.values())._owner


def run(size):
    bank = Bank()
    owners = [f"owner {i}" for i in range(10)]
    for i, owner in enumerate(owners):
        bank.open(owner).deposit(100 * i)
    for i in range(size):
        bank.move(owners[i % 10], owners[i * 7 % 10], i % 90)
        bank.open(f"other {i % 50}").deposit(i % 7)
    return bank.total(), bank.richest(), bank._refused, bank._accounts["owner 3"].balance
