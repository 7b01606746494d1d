"""The readers' address alone, where the product mounts it."""

from django.urls import include, path

urlpatterns = [path("api/v1/", include("shipments.api_urls"))]
