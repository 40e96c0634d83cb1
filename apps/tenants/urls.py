"""What a broker's domain answers about the broker itself."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.http import require_safe

from apps.tenants.selectors import brand_of


@require_safe
def brand_css(request: HttpRequest) -> HttpResponse:
    """The brand's colours as CSS variables; a file, because the content policy allows no inline style."""
    brand = brand_of(request)
    text = f":root{{--brand:{brand['colour_primary']};--accent:{brand['colour_accent']}}}\n"
    return HttpResponse(text, content_type="text/css", headers={"Cache-Control": "private, max-age=60"})


urlpatterns = [path("brand.css", brand_css, name="brand-css")]
