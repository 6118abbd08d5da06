"""Notes, each a pair in KV."""

from uuid import uuid4

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, Field

router = APIRouter(prefix="/notes")


class Note(BaseModel):
    text: str = Field(min_length=1, max_length=1000)
    tags: list[str] = []


@router.post("", status_code=201)
async def add(note: Note, request: Request) -> dict[str, str]:
    key = uuid4().hex
    await request.scope["env"].NOTES.put(key, note.model_dump_json())
    return {"id": key}


@router.get("/{key}")
async def read(key: str, request: Request) -> Note:
    kept = await request.scope["env"].NOTES.get(key)
    if kept is None:
        raise HTTPException(404, "There is no such note.")
    return Note.model_validate_json(kept)
