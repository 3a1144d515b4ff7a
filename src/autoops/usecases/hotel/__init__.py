"""The hotel: will a booking be cancelled? What its declaration leaves to Python, and made-up bookings."""
