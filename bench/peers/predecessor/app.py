"""The service that Orderwire replaces, for comparison: FastAPI, and MongoDB through pymongo's asynchronous client.

  MONGODB=mongodb://... uvicorn app:app
"""
import os
from contextlib import asynccontextmanager
from typing import Literal

from fastapi import FastAPI, Query
from pydantic import BaseModel, Field
from pymongo import AsyncMongoClient

from queries import COLLECTION, DATABASE, page_pipeline


class Product(BaseModel):
    id: str = Field(validation_alias="_id")
    name: str
    category: str
    price: float
    currency: str
    stock: int
    description: str


class ProductPage(BaseModel):
    items: list[Product]
    total: int
    page: int
    page_size: int
    pages: int


@asynccontextmanager
async def lifespan(app):
    async with AsyncMongoClient(os.environ["MONGODB"]) as client:
        app.state.products = client[DATABASE][COLLECTION]
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/health")
async def health() -> dict[str, str]:
    return {"status": "serving"}


@app.get("/products")
async def list_products(
    page: int = Query(1, ge=1),
    page_size: int = Query(10, ge=1, le=1000),
    category: str = Query("", max_length=128),
    sort: Literal["name", "name_desc", "price", "price_desc"] = "name",
    in_stock: bool = False,
) -> ProductPage:
    cursor = await app.state.products.aggregate(page_pipeline(page, page_size, category, sort, in_stock))
    found = (await cursor.to_list())[0]
    total = found["total"][0]["count"] if found["total"] else 0
    items = [Product.model_validate(item) for item in found["items"]]
    return ProductPage(items=items, total=total, page=page, page_size=page_size, pages=-(-total // page_size))
